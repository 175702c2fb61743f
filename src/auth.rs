//! Authenticators, from configuration to what checks and stands for us.

use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use tailgate_common::auth::{BasicUsers, Checker, Credentials, Tokens};
use tailgate_common::config::{AuthRef, Authenticator, Named, Secret, SigV4};
use tailgate_common::reload::DEFAULT_INTERVAL;

/// What a listener asks of its clients, if anything.
pub fn checker(
    reference: Option<&AuthRef>,
    known: &[Named<Authenticator>],
) -> anyhow::Result<Option<Arc<Checker>>> {
    let Some(authenticator) = find(reference, known) else { return Ok(None) };
    let id = &authenticator.id;
    let checker = match &authenticator.config {
        bearer @ Authenticator::Bearer { .. } => tokens(bearer).map(Checker::Bearer),
        Authenticator::BasicServer { inline, file } => {
            let users = BasicUsers::new(inline.expose(), file.clone(), DEFAULT_INTERVAL);
            users.map(Checker::Basic).map_err(|e| anyhow!(e))
        }
        Authenticator::BasicClient { .. } | Authenticator::SigV4(_) => {
            bail!("extension {id} cannot check clients")
        }
    };
    Ok(Some(Arc::new(checker.with_context(|| format!("extension {id}"))?)))
}

/// What a client puts into its requests, if anything.
pub fn credentials(
    reference: Option<&AuthRef>,
    known: &[Named<Authenticator>],
) -> anyhow::Result<Option<Arc<Credentials>>> {
    let Some(authenticator) = find(reference, known) else { return Ok(None) };
    let id = &authenticator.id;
    let credentials = match &authenticator.config {
        bearer @ Authenticator::Bearer { .. } => tokens(bearer).map(Credentials::Bearer),
        Authenticator::BasicClient { username, password } => {
            Credentials::basic(username, password, DEFAULT_INTERVAL).map_err(|e| anyhow!(e))
        }
        Authenticator::BasicServer { .. } => bail!("extension {id} has no credentials"),
        Authenticator::SigV4(_) => bail!("extension {id} signs HTTP requests only"),
    };
    Ok(Some(Arc::new(credentials.with_context(|| format!("extension {id}"))?)))
}

/// What signs a client's requests, if it is `sigv4auth`.
pub fn sigv4<'a>(
    reference: Option<&AuthRef>,
    known: &'a [Named<Authenticator>],
) -> Option<&'a SigV4> {
    match &find(reference, known)?.config {
        Authenticator::SigV4(sigv4) => Some(sigv4),
        _ => None,
    }
}

fn find<'a>(
    reference: Option<&AuthRef>,
    known: &'a [Named<Authenticator>],
) -> Option<&'a Named<Authenticator>> {
    known.iter().find(|named| reference.is_some_and(|r| r.id == named.id))
}

fn tokens(authenticator: &Authenticator) -> anyhow::Result<Tokens> {
    let Authenticator::Bearer { header, scheme, tokens, file } = authenticator else {
        bail!("has no tokens");
    };
    let tokens = match file {
        Some(file) => Tokens::from_file(header.clone(), scheme, file.clone(), DEFAULT_INTERVAL),
        None => {
            let tokens: Vec<String> =
                tokens.iter().map(Secret::expose).map(str::to_owned).collect();
            Tokens::new(header.clone(), scheme, &tokens)
        }
    };
    tokens.map_err(|e| anyhow!(e))
}
