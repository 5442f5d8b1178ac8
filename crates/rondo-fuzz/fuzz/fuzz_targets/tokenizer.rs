#![no_main]

use std::sync::Once;

static QUIET: Once = Once::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // libFuzzer's own panic hook aborts before the unwinding that Rondo must catch, so it is
    // replaced. A panic that is not caught still ends the process.
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    rondo_fuzz::tokenizer(bytes);
});
