//! What goes wrong in a run.

/// Which faults a run has.
#[derive(Clone, Copy)]
pub struct Faults {
    pub deduplicate: bool,
    pub silence: bool,
    /// Silences may be longer than `eject_after`.
    pub long_silence: bool,
    pub little_memory: bool,
    pub few_traces: bool,
    pub small_queue: bool,
    pub backend_fails: bool,
    pub backend_rejects: bool,
    pub root_wait: bool,
    /// Full queues may give traces up.
    pub sheds: bool,
    /// All spans of a trace come well before its decision.
    pub prompt: bool,
}

impl Faults {
    pub fn of(seed: u64) -> Self {
        let bit = |n: u64| (seed / n).is_multiple_of(2);
        Self {
            deduplicate: true,
            silence: !seed.is_multiple_of(4),
            long_silence: seed.is_multiple_of(3),
            little_memory: seed.is_multiple_of(7),
            few_traces: seed.is_multiple_of(5),
            small_queue: bit(2),
            backend_fails: bit(4),
            backend_rejects: seed.is_multiple_of(11),
            root_wait: seed.is_multiple_of(13),
            sheds: bit(8),
            prompt: seed.is_multiple_of(4) && !seed.is_multiple_of(13),
        }
    }
}
