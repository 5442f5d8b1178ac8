//! Messages between ranks, as bytes: numbers in a fixed order, without names. All ranks run the
//! same build, so that sender and receiver use the same order.

/// Writes a message.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// Appends a count.
    pub(crate) fn count(&mut self, count: usize) {
        self.0.extend((count as u64).to_le_bytes());
    }

    /// Appends a boolean.
    pub(crate) fn flag(&mut self, flag: bool) {
        self.0.push(flag.into());
    }

    /// Appends numbers, preceded by their count.
    pub(crate) fn values(&mut self, values: &[f64]) {
        self.count(values.len());
        self.0
            .extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    /// Appends bytes, preceded by their count.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend(bytes);
    }

    /// Returns the message.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a message in the order in which it was written.
///
/// # Panics
///
/// The methods panic when the message is too short.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Creates a reader at the beginning of `message`.
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn word(&mut self) -> [u8; 8] {
        let taken = self.take(8);
        taken.try_into().expect("eight bytes")
    }

    /// Reads a count.
    pub(crate) fn count(&mut self) -> usize {
        u64::from_le_bytes(self.word()) as usize
    }

    /// Reads a boolean.
    pub(crate) fn flag(&mut self) -> bool {
        self.take(1)[0] != 0
    }

    /// Reads numbers.
    pub(crate) fn values(&mut self) -> Vec<f64> {
        let count = self.count();
        (0..count)
            .map(|_| f64::from_le_bytes(self.word()))
            .collect()
    }

    /// Reads bytes.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let count = self.count();
        self.take(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_in_the_order_of_its_writing() {
        let mut message = Writer::default();
        message.count(7);
        message.values(&[0.1, f64::NEG_INFINITY]);
        message.flag(true);
        message.bytes(b"host");
        let message = message.finish();
        let mut reader = Reader::new(&message);
        assert_eq!(reader.count(), 7);
        assert_eq!(reader.values(), [0.1, f64::NEG_INFINITY]);
        assert!(reader.flag());
        assert_eq!(reader.bytes(), b"host");
    }
}
