#![no_main]

use std::sync::Once;

static QUIET: Once = Once::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // The fuzzer's own hook aborts at a panic before the unwinding that Rondo must catch; one that
    // is not caught still ends the process.
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    rondo_fuzz::tokenizer(bytes);
});
