//! `tailgate validate`: what becomes of each component of a configuration, or all that is wrong.

use std::process::ExitCode;

use tailgate_common::config::{ConfigErrors, Document, Input, Note, Tier, detect_tiers};
use tailgate_loadbalancer::config::LoadBalancerConfig;
use tailgate_sampler::config::SamplerConfig;

use crate::cli;
use crate::process::{self, EXIT_CONFIG, Failure};

/// Reads it as each tier it is for.
pub fn run(source: &cli::Config) -> Result<ExitCode, Failure> {
    // A text that is given itself may have secrets in it.
    let shown = |name: &String| if name.starts_with("yaml:") { "yaml:" } else { name }.to_owned();
    let name = source.config.iter().map(shown).collect::<Vec<_>>().join(" + ");
    let input = source.input()?;
    let overview = input.clone();
    let document = Document::read(&overview);
    let tiers = document.as_ref().map_or_else(|| vec![Tier::Sampler], detect_tiers);
    let mut faults: Option<ConfigErrors> = None;
    for tier in tiers {
        let lines = document.as_ref().map_or_else(Vec::new, |document| document.answers(tier));
        lines.iter().for_each(|line| println!("{line}"));
        match read(&input.clone(), tier) {
            Ok(notes) => {
                let more: Vec<Note> = notes.into_iter().filter(|n| !lines.contains(n)).collect();
                process::print_notes(&more);
                println!("{name}: a valid configuration of a {}", tier.name());
            }
            // Both tiers find the same faults in what they share.
            Err(errors) => match &mut faults {
                Some(faults) => faults.add(errors),
                None => faults = Some(errors),
            },
        }
    }
    let Some(faults) = faults else { return Ok(ExitCode::SUCCESS) };
    let number = match faults.0.len() {
        1 => "1 error".to_owned(),
        n => format!("{n} errors"),
    };
    eprintln!("{faults}{name}: {number}");
    Ok(ExitCode::from(EXIT_CONFIG))
}

/// What one tier has to say. Each has its own copy: notes of one are not those of the other.
fn read(input: &Input, tier: Tier) -> Result<Vec<Note>, ConfigErrors> {
    match tier {
        Tier::LoadBalancer => LoadBalancerConfig::from_input(input).map(|(_, notes)| notes),
        Tier::Sampler => SamplerConfig::from_input(input).map(|(_, notes)| notes),
    }
}
