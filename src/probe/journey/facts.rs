//! What a run saw: no opinion, no bodies but the one excerpt that evidence may hold, no secrets.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::blocked::{Blocked, BlockedKind};
use super::cookies::CookieSeen;
use super::step::Step;
use crate::model::{Masker, Timings};
use crate::probe::web::facts::{Failure, Hop, Match, RedirectProblem, Skipped};

/// What one journey saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The id of the run, as it stands in what the run wrote.
    pub run: String,
    /// The failed attempt to get the token that every step carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorize: Option<StepFacts>,
    /// The steps, as far as the journey came.
    pub steps: Vec<StepFacts>,
    /// The clean-up, where something may have been written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cleanup: Vec<StepFacts>,
    /// What became of what this run wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<Written>,
    /// Why the first step that writes was not sent, and with it the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_written: Option<NotWritten>,
    /// What became of what earlier runs left behind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub swept: Vec<Swept>,
    /// The way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_out: Option<SignedOut>,
    /// The cookies set on the way, redirects included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cookies: Vec<CookieSeen>,
    /// The portal or its token endpoint refused the credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// The portal throttles, locks out or challenges us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<BlockedAt>,
    /// Nothing was sent, because of what an earlier run met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Our side failed on the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub our_side: Option<Skipped>,
    /// The token endpoint gave a new refresh token, which is not kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub token_rotated: bool,
    /// The identity's own token went along with the requests.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub token_shown: bool,
    /// The window of the one-time code that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub totp_step: Option<u64>,
}

/// What one step saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StepFacts {
    /// Its name.
    pub name: String,
    /// The request as it is written, never rendered.
    pub request: String,
    /// Its answer's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Where the answer came from, masked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub final_url: String,
    /// The redirects followed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub redirects: Vec<Hop>,
    /// How long its phases took, in seconds, all requests together.
    pub phases: Timings,
    /// How long it took, in seconds, pauses between attempts included.
    pub took: f64,
    /// How often it was sent.
    pub requests: u32,
    /// How many bytes of body were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The captures taken, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub captured: Vec<String>,
    /// Why it was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
    /// Its failure does not end the journey.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// The headers of the answer that failed it, masked.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Vec<String>>,
    /// The beginning of the body that failed it, where evidence may hold one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
    /// The answer that failed it asks for a password.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub asks_for_password: bool,
    /// The answer that failed it is about a CSRF token, so that no credential was looked at.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub about_csrf: bool,
    /// The answer that failed it is a throttle, lock-out or challenge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<BlockedAt>,
}

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// No (whole) answer came.
    Transport(Failure),
    /// Its redirects were not followed to the end.
    Redirect(RedirectProblem),
    /// The status is not an expected one.
    Status {
        /// The expected ones.
        expected: String,
    },
    /// Expectations that do not hold.
    Unmet(Vec<Match>),
    /// A capture found nothing.
    Capture {
        /// Its name.
        name: String,
        /// What was there instead.
        why: String,
    },
    /// The request could not be made of what was there, and was not sent.
    NotSent(String),
    /// The token endpoint gave no token: what it gave.
    NoToken(String),
    /// `repeat.until` did not come true.
    Until(String),
    /// Our own side failed; it says nothing of the portal.
    OurSide(Skipped),
    /// The time of the journey was up.
    OutOfTime,
}

/// What became of what a run wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Written {
    /// The clean-up went through.
    Cleaned,
    /// The clean-up failed: a sweep will look for it.
    LeftBehind(String),
    /// Nothing is left, which the ledger could not note: why. A sweep will look once more.
    NotNoted(String),
}

/// Why a write was not sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotWritten {
    /// A run by hand without `--write`.
    ByHand,
    /// There is no ledger to enter it in: why.
    NoLedger(String),
    /// The writes of 24 hours are used up.
    Spent {
        /// How many there were.
        written: u64,
    },
    /// An earlier run's writes are not swept yet.
    Unswept {
        /// The id of that run.
        run: String,
    },
    /// Another instance is writing or sweeping.
    Busy {
        /// The id of that run.
        run: String,
    },
}

/// What became of what an earlier run left behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// The id of that run.
    pub run: String,
    /// When it wrote.
    pub entered: Timestamp,
    /// What became of it.
    pub end: SweepEnd,
    /// Clean-ups and sweeps that failed so far.
    pub attempts: u32,
}

/// How a sweep ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepEnd {
    /// So many things were found and removed.
    Removed(usize),
    /// Nothing was there.
    Absent,
    /// It failed: why.
    Failed(String),
    /// It waits for its time after one that failed.
    Waiting,
    /// None was tried in this run: why.
    NotTried(String),
    /// It is not known yet whether anything is left: why. A later run looks again.
    Later(String),
}

/// The way out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignedOut {
    /// The request that signs out.
    pub step: StepFacts,
    /// What the old session still opens: the address, as written, and the status it was answered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub still_opens: Option<(String, u16)>,
    /// Why it is not known whether the session is dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unproven: Option<String>,
}

/// A refused credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The step that was refused.
    pub step: String,
    /// What the portal said, in words.
    pub why: String,
}

/// A throttle, lock-out or challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedAt {
    /// At which step.
    pub step: String,
    /// The evidence.
    pub why: String,
    /// It is about our sign-ins: another one would make it worse.
    pub lock_out: bool,
    /// When the portal wants to be asked again, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// Why nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// At which step of which run it came up.
    pub step: String,
    /// What was met then.
    pub why: String,
    /// It was a refused credential; else a block.
    pub refused: bool,
}

impl BlockedAt {
    /// A block that was met at a step.
    pub fn at(step: &str, blocked: Blocked) -> Self {
        Self {
            step: step.to_owned(),
            why: blocked.why,
            lock_out: blocked.kind == BlockedKind::LockOut,
            retry_after: blocked.retry_after.map(|wait| wait.as_secs()),
        }
    }
}

impl Facts {
    /// Takes secrets out of everything that a server said.
    pub fn mask(&mut self, masker: &Masker) {
        for step in self.steps.iter_mut().chain(&mut self.cleanup).chain(&mut self.authorize) {
            step.mask(masker);
        }
        for swept in &mut self.swept {
            if let SweepEnd::Failed(why) | SweepEnd::NotTried(why) = &mut swept.end {
                mask(why, masker);
            }
        }
        if let Some(signed_out) = &mut self.sign_out {
            signed_out.step.mask(masker);
            signed_out.unproven.iter_mut().for_each(|why| mask(why, masker));
        }
        for cookie in &mut self.cookies {
            let said = [&mut cookie.name, &mut cookie.host, &mut cookie.path].into_iter();
            said.chain(&mut cookie.domain).for_each(|part| mask_part(part, masker));
            cookie.refused.iter_mut().for_each(|said| mask(said, masker));
        }
        let written = self.written.iter_mut().filter_map(|written| match written {
            Written::Cleaned | Written::NotNoted(_) => None,
            Written::LeftBehind(why) => Some(why),
        });
        let refused = self.refused.iter_mut().map(|refused| &mut refused.why);
        let blocked = self.blocked.iter_mut().map(|blocked| &mut blocked.why);
        let ours = self.our_side.iter_mut().map(|skipped| &mut skipped.why);
        let blocked = blocked.chain(ours);
        written.chain(refused).chain(blocked).for_each(|said| mask(said, masker));
    }
}

impl StepFacts {
    /// A step that nothing is known of yet; `other` is what it is called without a name.
    pub fn of(step: &Step, other: &str) -> Self {
        Self {
            name: step.name.as_deref().unwrap_or(other).to_owned(),
            request: step.written(),
            optional: step.optional,
            ..Self::default()
        }
    }

    /// Forgets what the attempt before saw; what adds up stays.
    pub fn begin(&mut self) {
        let Self { name, request, phases, took, requests, captured, optional, .. } = std::mem::take(self);
        *self = Self { name, request, phases, took, requests, captured, optional, ..Self::default() };
    }

    fn mask(&mut self, masker: &Masker) {
        let telling = |name: &String| matches!(masker.mask(name), std::borrow::Cow::Owned(_));
        if self.headers.keys().any(telling) {
            let headers = std::mem::take(&mut self.headers);
            self.headers =
                headers.into_iter().map(|(name, values)| (masker.mask(&name).into_owned(), values)).collect();
        }
        let hops = self.redirects.iter_mut().map(|hop| &mut hop.to);
        let headers = self.headers.values_mut().flatten();
        let said = hops.chain(headers).chain(&mut self.excerpt).chain([&mut self.final_url]);
        let blocked = self.blocked.iter_mut().map(|blocked| &mut blocked.why);
        said.chain(blocked).for_each(|said| mask(said, masker));
        match &mut self.trouble {
            Some(Trouble::Transport(failure)) => mask(&mut failure.detail, masker),
            Some(Trouble::Redirect(problem)) => problem.target().into_iter().for_each(|to| mask(to, masker)),
            Some(Trouble::Unmet(unmet)) => {
                for found in unmet {
                    let said = found.value.iter_mut().chain(&mut found.rule);
                    said.for_each(|said| mask(said, masker));
                }
            }
            Some(
                Trouble::Capture { why, .. }
                | Trouble::NotSent(why)
                | Trouble::NoToken(why)
                | Trouble::Until(why)
                | Trouble::OurSide(Skipped { why, .. }),
            ) => mask(why, masker),
            Some(Trouble::Status { .. } | Trouble::OutOfTime) | None => {}
        }
    }
}

fn mask(text: &mut String, masker: &Masker) {
    if let std::borrow::Cow::Owned(masked) = masker.mask(text) {
        *text = masked;
    }
}

/// Masks what a semicolon may have cut off: an escaped secret may hold one.
fn mask_part(part: &mut String, masker: &Masker) {
    if let std::borrow::Cow::Owned(masked) = masker.mask(&format!("{part}…")) {
        *part = masked;
    }
}
