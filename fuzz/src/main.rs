//! libFuzzer's entry: runs the target that `TAILGATE_FUZZ_TARGET` names.
#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("TAILGATE_FUZZ_TARGET").unwrap_or_default();
    let Some(target) = tailgate_fuzz_targets::target(&name) else {
        panic!("TAILGATE_FUZZ_TARGET={name} is none; see fuzz/run.sh")
    };
    target
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (*TARGET)(bytes));
