//! Keeps credentials, and looks for others in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_types::error::display::DisplayErrorContext;
use parking_lot::Mutex;
use tailgate_common::client::Stamp;
use tailgate_common::clock::{Clock, Nanos};
use tokio::sync::OwnedMutexGuard;

use super::chain::Chain;

/// Others are looked for shortly before credentials expire, and when they are refused: then all of
/// the chain is asked anew, files included. One look at a time is under way, in a task of its own:
/// whoever waits for it may have less time than it takes.
pub struct Keeper {
    source: Source,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
    /// Whoever has it looks.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// The last stamp that was refused.
    refused: AtomicU64,
}

/// Where credentials come from.
pub enum Source {
    /// The SDK's chain.
    Chain(Chain),
    /// This, and nothing else.
    Given(SharedCredentialsProvider),
}

/// Credentials, and their number among those that were found.
pub type Stamped = (Identity, Stamp);

#[derive(Default)]
struct Held {
    provider: Option<SharedCredentialsProvider>,
    identity: Option<Identity>,
    /// Counts the identities.
    stamp: Stamp,
    /// When the last look ended.
    looked: Option<Nanos>,
    /// Why it found nothing, if it did not.
    failed: Option<String>,
}

/// Credentials that end within this are replaced.
const MARGIN: Duration = Duration::from_secs(60);
/// After a look the chain is not asked again before, unless what it found was refused.
const PAUSE: Duration = Duration::from_secs(1);
/// No look takes longer.
const LOOK_AT_MOST: Duration = Duration::from_secs(60);

// === impl Keeper ===

impl Keeper {
    /// Credentials are looked for when there is something to sign.
    pub fn new(source: Source, clock: Arc<dyn Clock>) -> Self {
        let (held, turn, refused) = (Mutex::default(), Arc::default(), AtomicU64::new(0));
        Self { source, clock, held, turn, refused }
    }

    /// The time of day.
    pub fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.clock.unix_ns())
    }

    /// Credentials to sign with now.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn credentials(self: &Arc<Self>) -> Result<Stamped, String> {
        if let Some(lasting) = self.lasting(MARGIN) {
            return Ok(lasting);
        }
        if let Some(ending) = self.lasting(Duration::ZERO) {
            // Good for now: others are looked for meanwhile.
            if let Ok(turn) = self.turn.clone().try_lock_owned() {
                tokio::spawn(self.clone().renew(turn));
            }
            return Ok(ending);
        }
        let turn = self.turn.clone().lock_owned().await;
        match self.lasting(Duration::ZERO) {
            Some(found) => Ok(found),
            None => {
                let look = tokio::spawn(self.clone().renew(turn));
                look.await.map_err(|error| format!("no AWS credentials: {error}"))?
            }
        }
    }

    /// These were refused, and all before them.
    pub fn refused(&self, stamp: Stamp) {
        self.refused.fetch_max(stamp, Ordering::AcqRel);
    }

    /// What is held, if it is not refused and good for longer than `margin`.
    fn lasting(&self, margin: Duration) -> Option<Stamped> {
        let mut held = self.held.lock();
        if held.stamp <= self.refused.load(Ordering::Acquire) {
            (held.provider, held.identity) = (None, None);
        }
        let until = self.wall() + margin;
        let lasts = |i: &&Identity| i.expiration().is_none_or(|end| end > until);
        let identity = held.identity.as_ref().filter(lasts)?;
        Some((identity.clone(), held.stamp))
    }

    async fn renew(self: Arc<Self>, _turn: OwnedMutexGuard<()>) -> Result<Stamped, String> {
        if let Some(again) = self.just_looked() {
            return again;
        }
        let provider = self.held.lock().provider.clone();
        let found = tokio::time::timeout(LOOK_AT_MOST, self.look(provider)).await;
        let found = found.unwrap_or_else(|_| Err(format!("none within {LOOK_AT_MOST:?}")));
        let mut held = self.held.lock();
        held.looked = Some(self.clock.now());
        match found {
            Ok((provider, identity)) => {
                (held.provider, held.identity) = (Some(provider), Some(identity.clone()));
                (held.stamp, held.failed) = (held.stamp + 1, None);
                Ok((identity, held.stamp))
            }
            Err(why) => {
                let why = format!("no AWS credentials: {why}");
                (held.provider, held.failed) = (None, Some(why.clone()));
                Err(why)
            }
        }
    }

    /// What came of a look that is not long ago, if that can be used.
    fn just_looked(&self) -> Option<Result<Stamped, String>> {
        let failed = {
            let held = self.held.lock();
            held.looked.filter(|at| self.clock.now().since(*at) < PAUSE)?;
            held.failed.clone()
        };
        failed.map(Err).or_else(|| self.lasting(Duration::ZERO).map(Ok))
    }

    async fn look(
        &self,
        provider: Option<SharedCredentialsProvider>,
    ) -> Result<(SharedCredentialsProvider, Identity), String> {
        let provider = match (provider, &self.source) {
            (Some(provider), _) => provider,
            (None, Source::Given(provider)) => provider.clone(),
            (None, Source::Chain(chain)) => {
                let provider = chain.provider().await;
                provider.ok_or_else(|| "there is no chain of them".to_owned())?
            }
        };
        match provider.provide_credentials().await {
            Ok(credentials) => Ok((provider, Identity::from(credentials))),
            Err(error) => Err(DisplayErrorContext(error).to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::error::CredentialsError;
    use aws_credential_types::provider::future::ProvideCredentials as Provided;
    use tailgate_common::clock::ManualClock;
    use tokio::sync::Semaphore;
    use tokio::time::timeout;

    use super::*;

    /// Gives credentials that last so long from now on, when it is let.
    #[derive(Debug)]
    struct Slow {
        lasts: Duration,
        wall: SystemTime,
        let_go: Arc<Semaphore>,
        asked: Arc<AtomicU64>,
        fails: bool,
    }

    impl ProvideCredentials for Slow {
        fn provide_credentials<'a>(&'a self) -> Provided<'a>
        where
            Self: 'a,
        {
            Provided::new(async {
                let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
                self.let_go.acquire().await.unwrap().forget();
                if self.fails {
                    return Err(CredentialsError::not_loaded("not today"));
                }
                let end = Some(self.wall + self.lasts);
                Ok(Credentials::new(format!("key-{number}"), "secret", None, end, "test"))
            })
        }
    }

    struct Rig {
        keeper: Arc<Keeper>,
        clock: Arc<ManualClock>,
        let_go: Arc<Semaphore>,
        asked: Arc<AtomicU64>,
    }

    const MOMENT: Duration = Duration::from_millis(20);
    const SOON: Duration = Duration::from_secs(20);

    fn rig(lasts: Duration, fails: bool) -> Rig {
        let clock = Arc::new(ManualClock::new(1_700_000_000_000_000_000));
        let wall = UNIX_EPOCH + Duration::from_nanos(clock.unix_ns());
        let (let_go, asked) = (Arc::new(Semaphore::new(0)), Arc::<AtomicU64>::default());
        let slow = Slow { lasts, wall, let_go: let_go.clone(), asked: asked.clone(), fails };
        let source = Source::Given(SharedCredentialsProvider::new(slow));
        Rig { keeper: Arc::new(Keeper::new(source, clock.clone())), clock, let_go, asked }
    }

    impl Rig {
        async fn key(&self) -> Result<(String, Stamp), String> {
            let (identity, stamp) = timeout(SOON, self.keeper.credentials()).await.unwrap()?;
            let key = identity.data::<Credentials>().unwrap().access_key_id().to_owned();
            Ok((key, stamp))
        }

        fn asked(&self) -> u64 {
            self.asked.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn a_look_outlives_whoever_waits_for_it() {
        let rig = rig(Duration::from_secs(3_600), false);
        for _ in 0..3 {
            assert!(timeout(MOMENT, rig.keeper.credentials()).await.is_err());
        }
        rig.let_go.add_permits(1);
        assert_eq!(rig.key().await, Ok(("key-1".to_owned(), 1)));
        assert_eq!((rig.key().await.unwrap().1, rig.asked()), (1, 1));
        // Refused: others are looked for.
        rig.keeper.refused(1);
        rig.let_go.add_permits(1);
        assert_eq!(rig.key().await, Ok(("key-2".to_owned(), 2)));
    }

    #[tokio::test]
    async fn what_still_lasts_is_used_while_others_are_looked_for() {
        let rig = rig(Duration::from_secs(90), false);
        rig.let_go.add_permits(1);
        assert_eq!(rig.key().await.unwrap().1, 1);
        rig.clock.advance(Duration::from_secs(40));
        for _ in 0..3 {
            assert_eq!(rig.key().await, Ok(("key-1".to_owned(), 1)));
        }
        while rig.asked() < 2 {
            tokio::task::yield_now().await;
        }
        rig.clock.advance(Duration::from_secs(60));
        // They have ended, and the look has not.
        assert!(timeout(MOMENT, rig.keeper.credentials()).await.is_err());
        assert_eq!(rig.asked(), 2);
    }

    #[tokio::test]
    async fn a_look_that_failed_is_not_repeated_at_once() {
        let rig = rig(Duration::ZERO, true);
        rig.let_go.add_permits(9);
        for _ in 0..3 {
            let error = rig.key().await.unwrap_err();
            assert!(error.contains("no AWS credentials") && error.contains("not today"), "{error}");
        }
        assert_eq!(rig.asked(), 1);
        rig.clock.advance(PAUSE);
        rig.key().await.unwrap_err();
        assert_eq!(rig.asked(), 2);
    }
}
