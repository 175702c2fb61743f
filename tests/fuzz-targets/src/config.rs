//! Configurations: any text is a value or errors, for both tiers, and policies compile or say why.

use tailgate_common::config::Input;
use tailgate_loadbalancer::config::LoadBalancerConfig;
use tailgate_policy::{Options, Program};
use tailgate_sampler::config::SamplerConfig;

/// A variable that has a variable that has the first.
fn env(name: &str) -> Option<String> {
    match name {
        "A" => Some("[1, ${env:B}]".to_owned()),
        "B" => Some("${env:A}".to_owned()),
        _ => None,
    }
}

/// Reading any text as the configuration of each tier.
pub(crate) fn config_any(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let parse = || Input::parse("f.yaml", text, &env);
    match parse() {
        Err(errors) => assert!(!errors.to_string().is_empty()),
        Ok(input) => match LoadBalancerConfig::from_input(&input) {
            Ok((_, notes)) => notes.iter().for_each(|note| drop(note.to_string())),
            Err(errors) => assert!(!errors.to_string().is_empty()),
        },
    }
    if let Ok(input) = parse()
        && let Ok((config, _)) = SamplerConfig::from_input(&input)
        && let Some(sampling) = config.tail_sampling
        && let Err(error) = Program::compile(&sampling.config.policies, Options::default())
    {
        assert!(!error.to_string().is_empty());
    }
}
