//! The part of the protocol-buffer encoding that event files need.

use std::time::{SystemTime, UNIX_EPOCH};

/// A protocol-buffer message under construction.
#[derive(Default)]
pub(super) struct Message(pub(super) Vec<u8>);

impl Message {
    /// Starts an event with the current time and a step.
    pub(super) fn event(step: u64) -> Self {
        Self::event_at(wall_time(), step)
    }

    /// Starts an event with a time in seconds since 1970, and a step.
    pub(super) fn event_at(seconds: f64, step: u64) -> Self {
        let mut event = Self::default();
        event.double(1, seconds);
        event.integer(2, step);
        event
    }

    fn key(&mut self, field: u64, wire_type: u64) {
        self.varint(field << 3 | wire_type);
    }

    fn varint(&mut self, mut x: u64) {
        while x >= 0x80 {
            self.0.push(x as u8 | 0x80);
            x >>= 7;
        }
        self.0.push(x as u8);
    }

    pub(super) fn integer(&mut self, field: u64, x: u64) {
        self.key(field, 0);
        self.varint(x);
    }

    pub(super) fn float(&mut self, field: u64, x: f32) {
        self.key(field, 5);
        self.0.extend(x.to_le_bytes());
    }

    pub(super) fn double(&mut self, field: u64, x: f64) {
        self.key(field, 1);
        self.0.extend(x.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }
}

/// Returns the seconds since 1970.
pub(super) fn wall_time() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |elapsed| elapsed.as_secs_f64())
}
