//! The benchmarks are in `benches/benches`; the run beside the peers is `compare.py`.
