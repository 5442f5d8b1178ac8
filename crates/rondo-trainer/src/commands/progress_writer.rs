//! Writes a file and shows the progress in a bar.

use std::cell::RefCell;
use std::io::{self, Write};

use rondo_files::Content;
use rondo_metrics::Mode;
use rondo_metrics::work::{Unit, WorkBar};

/// The minimum size, in bytes, of a file that is written with a progress bar.
const WORTH_SHOWING: u64 = 64 << 20;

/// Writes content and shows in a bar how many bytes have been written.
pub(crate) struct ProgressWriter<'a> {
    content: &'a dyn Content,
    bar: RefCell<WorkBar>,
}

impl<'a> ProgressWriter<'a> {
    /// Makes a writer of `content`, which has `bytes` bytes.
    pub(crate) fn new(content: &'a dyn Content, label: &str, bytes: u64) -> Self {
        let mode = match bytes < WORTH_SHOWING {
            true => Mode::Quiet,
            false => Mode::Auto,
        };
        let bar = WorkBar::new(mode, label, bytes, Unit::Bytes);
        Self {
            content,
            bar: RefCell::new(bar),
        }
    }
}

impl Content for ProgressWriter<'_> {
    fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut bar = self.bar.borrow_mut();
        let written = self.content.write_to(&mut Advancing { out, bar: &mut bar });
        bar.finish();
        written
    }
}

struct Advancing<'a> {
    out: &'a mut dyn Write,
    bar: &'a mut WorkBar,
}

impl Write for Advancing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bar.advance(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
