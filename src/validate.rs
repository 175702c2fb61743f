//! `tailgate validate`: what the configuration says, or all that is wrong with it.

use std::process::ExitCode;

use tailgate_common::config::{Document, Tier, detect_tiers};
use tailgate_loadbalancer::config::LoadBalancerConfig;
use tailgate_sampler::config::SamplerConfig;

use crate::cli;
use crate::process::{self, Failure};

/// Reads it as each tier it is for.
pub fn run(source: &cli::Config) -> Result<ExitCode, Failure> {
    // Both tiers find the same faults in the frame.
    let tiers = match Document::read(&source.input()?) {
        Some(document) => detect_tiers(&document),
        None => vec![Tier::Sampler],
    };
    let name = source.config.join(" + ");
    for tier in tiers {
        // Each reads its own copy: what one has to say is not said by the other.
        let input = source.input()?;
        let notes = match tier {
            Tier::LoadBalancer => {
                let (config, notes) = LoadBalancerConfig::from_input(&input)?;
                crate::loadbalancer::check(&config)?;
                notes
            }
            Tier::Sampler => {
                let (config, notes) = SamplerConfig::from_input(&input)?;
                crate::sampler::check(&config)?;
                notes
            }
        };
        process::print_notes(&notes);
        let what = match tier {
            Tier::LoadBalancer => "load balancer",
            Tier::Sampler => "sampler",
        };
        println!("{name}: a valid configuration of a {what}");
    }
    Ok(ExitCode::SUCCESS)
}
