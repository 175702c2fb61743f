//! Where the members come from.

use std::sync::Arc;

use tokio::sync::watch;

/// A member as a resolver knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Its name, which stays when its address changes. Ownership depends on nothing else.
    pub name: Arc<str>,
    /// Where it is (`host:port`).
    pub endpoint: String,
}

/// A source of member sets.
pub trait Resolver: Send + Sync + 'static {
    /// As the `resolver` label of metrics.
    fn label(&self) -> &'static str;

    /// The members now, and every later set. A resolver that fails keeps the last good set.
    fn watch(&self) -> watch::Receiver<Arc<[Member]>>;
}

/// A list that does not change.
#[derive(Debug)]
pub struct StaticResolver {
    members: watch::Sender<Arc<[Member]>>,
}

// === impl StaticResolver ===

impl StaticResolver {
    /// These members; of two with the same name the first counts.
    pub fn new(members: impl IntoIterator<Item = Member>) -> Self {
        let mut unique: Vec<Member> = Vec::new();
        for member in members {
            if unique.iter().all(|known| known.name != member.name) {
                unique.push(member);
            }
        }
        Self { members: watch::Sender::new(unique.into()) }
    }

    /// Backends that have no name but their address.
    pub fn of_endpoints<S: Into<String>>(endpoints: impl IntoIterator<Item = S>) -> Self {
        Self::new(endpoints.into_iter().map(|endpoint| {
            let endpoint = endpoint.into();
            Member { name: endpoint.as_str().into(), endpoint }
        }))
    }
}

impl Resolver for StaticResolver {
    fn label(&self) -> &'static str {
        "static"
    }

    fn watch(&self) -> watch::Receiver<Arc<[Member]>> {
        self.members.subscribe()
    }
}
