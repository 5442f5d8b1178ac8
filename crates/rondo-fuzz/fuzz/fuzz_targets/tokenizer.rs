#![no_main]

use std::sync::Once;

static QUIET: Once = Once::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // libFuzzer's own panic hook aborts before the unwinding that Rondo must catch. This hook
    // replaces it. A panic that Rondo does not catch still ends the process.
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    rondo_fuzz::tokenizer(bytes);
});
