//! `tailgate validate`: what the file says, or all that is wrong with it.

use std::path::Path;
use std::process::ExitCode;

use tailgate_common::config::{Document, Input, Tier, detect_tier};
use tailgate_loadbalancer::config::LoadBalancerConfig;
use tailgate_sampler::config::SamplerConfig;

use crate::process::{self, Failure};

/// Reads the file as the tier it is for.
pub fn run(path: &Path) -> Result<ExitCode, Failure> {
    let input = Input::load(&path.to_string_lossy(), &process::env)?;
    let tier = match Document::read(&input) {
        Some(document) => detect_tier(&document),
        // Both tiers find the same faults in the frame.
        None => Tier::Sampler,
    };
    let (tier, notes) = match tier {
        Tier::LoadBalancer => {
            let (config, notes) = LoadBalancerConfig::from_input(&input)?;
            crate::loadbalancer::check(&config)?;
            ("load balancer", notes)
        }
        Tier::Sampler => {
            let (config, notes) = SamplerConfig::from_input(&input)?;
            crate::sampler::check(&config)?;
            ("sampler", notes)
        }
    };
    process::print_notes(&notes);
    println!("{}: a valid configuration of a {tier}", path.display());
    Ok(ExitCode::SUCCESS)
}
