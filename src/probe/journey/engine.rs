//! The run: steps one after the other, and what they leave for each other.

mod attempt;
mod sign_out;
mod writes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep_until};
use url::Url;

use self::writes::Leftover;
use super::Memory;
use super::blocked::blocked;
use super::capture::Form;
use super::facts::{BlockedAt, Facts, Held, Refused, StepFacts, Trouble};
use super::session::Session;
use super::spec::Spec;
use super::step::Step;
use super::template::{IdentityVars, Vars, shown_codes, totp_step};
use crate::model::{Cause, Secret, StepTime, Timings};
use crate::net::{Family, HttpVersion, Origin, Via, waited};
use crate::probe::web::oauth;
use crate::probe::web::walk::foreign_tls;
use crate::probe::{Ctx, Observed, Unmeasured};

/// The length of a window of one-time codes (RFC 6238 section 4.1), in seconds.
const TOTP_WINDOW: u64 = 30;

/// [`super::Journey`]'s look.
///
/// # Errors
/// Our side failed before anything was sent.
pub async fn observe(spec: &Spec, ctx: &Ctx<'_>, memory: &Memory) -> Result<Observed<Facts>, Unmeasured> {
    if let Some(held) = held(memory, ctx.at) {
        return Ok(observed(Facts { held: Some(held), ..Facts::default() }));
    }
    let Some(portal) = ctx.scope.portal.url.as_ref() else {
        let why = "the portal has no url; give it one".to_owned();
        return Err(Unmeasured { cause: Cause::Config, why });
    };
    let mut run = Run::new(spec, ctx, portal);
    run.go(memory).await;
    Ok(observed(run.finish()))
}

/// What keeps this run from sending anything.
fn held(memory: &Memory, at: Timestamp) -> Option<Held> {
    let stop = memory.stop.as_ref().filter(|stop| stop.until > at)?;
    Some(stop.clone())
}

fn observed(facts: Facts) -> Observed<Facts> {
    let mut timings = Timings::default();
    for (phase, took) in facts.steps.iter().flat_map(|step| step.phases.iter()) {
        timings.add(phase, took);
    }
    let begun = facts.steps.iter().filter(|step| step.requests > 0);
    let times = begun.map(|step| StepTime {
        name: step.name.as_str().into(),
        took: Duration::try_from_secs_f64(step.took).unwrap_or_default(),
    });
    let steps = times.collect();
    let steps_in_order = facts.authorize.iter().chain(&facts.steps);
    let failed = steps_in_order.clone().find(|step| step.trouble.is_some() && !step.optional);
    let transport = failed.is_some_and(|step| matches!(step.trouble, Some(Trouble::Transport(_))));
    let last = failed.or_else(|| facts.steps.iter().rfind(|step| step.status.is_some()));
    Observed { status: last.and_then(|step| step.status), timings, steps, transport, facts }
}

/// Whether the journey goes on.
enum Next {
    /// With the next step.
    On,
    /// It is over; clean-up and sign-out follow.
    Over,
}

/// One journey under way.
struct Run<'a> {
    spec: &'a Spec,
    ctx: &'a Ctx<'a>,
    portal: &'a Url,
    via: Via,
    vars: Vars,
    forms: BTreeMap<Box<str>, Form>,
    links: BTreeMap<Box<str>, Url>,
    session: Session,
    /// The page that a person would be looking at.
    page: Option<Url>,
    /// Captures that are not kept, and tokens.
    secrets: Vec<Secret>,
    /// Captures marked `keep`.
    kept: Map<String, Value>,
    facts: Facts,
    began: Instant,
    /// When the steps must have ended.
    steps_end: Instant,
    /// When everything must have.
    all_end: Instant,
    /// What earlier runs left behind and this run took on.
    leftovers: Vec<Leftover>,
    /// Something of this run stands in the ledger.
    entered: bool,
}

impl<'a> Run<'a> {
    fn new(spec: &'a Spec, ctx: &'a Ctx<'a>, portal: &'a Url) -> Self {
        let identity = ctx.scope.identity.as_deref();
        let id = run_id();
        let fields = identity.map_or_else(IdentityVars::default, |identity| IdentityVars {
            username: identity.username.as_deref(),
            password: identity.password.as_ref(),
            totp: identity.totp.as_ref(),
            token: identity.token.as_ref(),
        });
        let began = Instant::now();
        let deadline = ctx.scope.deadline;
        // A run that is cut off cleans nothing up, so the journey ends before that.
        let margin = (deadline / 20).min(Duration::from_secs(1));
        let after = spec.cleanup.len() + 2 * usize::from(spec.sign_out.is_some());
        let wanted = ctx.scope.timeout * u32::try_from(after).unwrap_or(u32::MAX);
        let all_end = began + deadline - margin;
        Self {
            spec,
            ctx,
            portal,
            via: Via {
                origin: Origin::Portal { private: ctx.scope.portal.private },
                resolvers: Arc::clone(&ctx.scope.resolvers),
                tls: Arc::clone(&ctx.scope.tls),
                family: Family::Any,
                connect_to: None,
                proxy: None,
                version: HttpVersion::Auto,
            },
            vars: Vars::new(&id, ctx.at, fields),
            forms: BTreeMap::new(),
            links: BTreeMap::new(),
            session: Session::new(portal, spec.csrf.as_deref().cloned()),
            page: None,
            secrets: Vec::new(),
            kept: Map::new(),
            facts: Facts { run: id, ..Facts::default() },
            began,
            steps_end: all_end - wanted.min(deadline / 3),
            all_end,
            leftovers: Vec::new(),
            entered: false,
        }
    }

    /// The wall clock, by the clock that only goes forward.
    fn now(&self) -> Timestamp {
        self.ctx.at.checked_add(self.began.elapsed()).unwrap_or(self.ctx.at)
    }

    async fn go(&mut self, memory: &Memory) {
        self.take_leftovers().await;
        if self.authorize().await {
            self.steps(memory).await;
        }
        self.clean_up().await;
        self.give_back_leftovers().await;
        self.sign_out().await;
    }

    /// Gets the token that every request carries, where the identity has one. Says whether the journey
    /// can begin.
    async fn authorize(&mut self) -> bool {
        let Some(identity) = self.ctx.scope.identity.clone() else { return true };
        if let Some(token) = &identity.token {
            self.session.set_bearer(token.clone());
        }
        let Some(grant) = oauth::Grant::of(&identity) else { return true };
        let mut via = self.via.clone();
        if grant.token_url.host() != self.portal.host() {
            via.tls = foreign_tls(&via.tls);
        }
        match oauth::token(grant, via, self.ctx).await {
            Ok(Ok(token)) => {
                self.facts.token_rotated = token.rotated;
                self.session.set_bearer(token.access);
                true
            }
            Ok(Err(refusal)) => {
                self.token_refused(refusal);
                false
            }
            Err(skipped) => {
                self.facts.our_side = Some(skipped);
                false
            }
        }
    }

    fn token_refused(&mut self, refusal: oauth::Refusal) {
        let step = "access token".to_owned();
        let blocked = refusal
            .answer
            .as_ref()
            .and_then(|answer| blocked(answer.status, &answer.headers, &answer.body, true, self.now()));
        if let Some(blocked) = blocked {
            self.facts.blocked = Some(BlockedAt::at(&step, blocked));
        } else if refusal.credentials {
            self.facts.refused = Some(Refused { step, why: refusal.why });
        } else {
            let trouble = refusal.failure.map_or(Trouble::NotSent(refusal.why), Trouble::Transport);
            let request = "POST to the token endpoint".to_owned();
            let failed = StepFacts { name: step, request, trouble: Some(trouble), ..StepFacts::default() };
            self.facts.authorize = Some(StepFacts { requests: 1, ..failed });
        }
    }

    async fn steps(&mut self, memory: &Memory) {
        let first_write = self.spec.first_write();
        for (index, step) in self.spec.steps.iter().enumerate() {
            if Some(index) == first_write {
                self.sweep_leftovers().await;
            }
            if let Next::Over = self.step(step, memory).await {
                return;
            }
        }
    }

    async fn step(&mut self, step: &Step, memory: &Memory) -> Next {
        let mut seen = StepFacts {
            name: step.name.as_deref().unwrap_or_default().to_owned(),
            request: step.written(),
            optional: step.optional,
            ..StepFacts::default()
        };
        if self.facts.our_side.is_some() || self.facts.blocked.is_some() {
            return Next::Over;
        }
        match self.wanted(step) {
            Ok(true) => {}
            Ok(false) => {
                seen.left_out = step.when.as_ref().map(|when| format!("not: {}", when.source()));
                self.facts.steps.push(seen);
                return Next::On;
            }
            Err(why) => {
                seen.trouble = Some(Trouble::NotSent(why));
                return self.note(seen);
            }
        }
        if step.write && !self.enter().await {
            return Next::Over;
        }
        if step.shows_code() {
            self.next_code(memory).await;
        }
        self.repeated(step, &mut seen, self.steps_end).await;
        let kept = self.note_kept().await;
        match self.note(seen) {
            Next::On => kept,
            Next::Over => Next::Over,
        }
    }

    fn note(&mut self, seen: StepFacts) -> Next {
        let failed = seen.trouble.is_some() && !seen.optional;
        let stop = failed || self.facts.our_side.is_some() || self.facts.blocked.is_some();
        self.facts.steps.push(seen);
        if stop { Next::Over } else { Next::On }
    }

    fn wanted(&mut self, step: &Step) -> Result<bool, String> {
        self.vars.set_time(self.now());
        step.when.as_ref().map_or(Ok(true), |when| when.holds(&self.vars).map_err(|error| error.to_string()))
    }

    /// Waits for a window whose code was not used yet: portals refuse a code that is shown twice
    /// (RFC 6238 section 5.2).
    async fn next_code(&mut self, memory: &Memory) {
        let used = self.facts.totp_step.or(memory.totp_step);
        let now = self.now();
        if used.is_some_and(|used| totp_step(now) <= used) {
            let seconds = u64::try_from(now.as_second()).unwrap_or_default();
            let left = Duration::from_secs(TOTP_WINDOW - seconds % TOTP_WINDOW);
            let next = Instant::now() + left;
            if next < self.steps_end {
                sleep_until(next).await;
            }
        }
        self.facts.totp_step = Some(totp_step(self.now()));
    }

    /// A step as often as it wants to be done.
    async fn repeated(&mut self, step: &Step, seen: &mut StepFacts, ends: Instant) {
        let began = Instant::now();
        let waited_before = waited();
        let (times, until) =
            step.repeat.as_ref().map_or((1, None), |repeat| (repeat.times, repeat.until.as_ref()));
        for turn in 1..=times {
            self.vars.set_repeat(u32::from(turn));
            self.eventually(step, seen, ends).await;
            if seen.trouble.is_some() {
                break;
            }
            match until.map(|until| until.holds(&self.vars)) {
                Some(Ok(true)) => break,
                Some(Err(error)) => seen.trouble = Some(Trouble::Until(error.to_string())),
                Some(Ok(false)) if turn == times => {
                    let written = until.map_or("", |until| until.source());
                    seen.trouble =
                        Some(Trouble::Until(format!("{written} did not hold after {times} times")));
                }
                Some(Ok(false)) | None => {}
            }
        }
        self.vars.unset("repeat");
        let took = began.elapsed().saturating_sub(waited().saturating_sub(waited_before));
        seen.took = took.as_secs_f64();
    }

    /// A step until its expectations hold, where it asks for that.
    async fn eventually(&mut self, step: &Step, seen: &mut StepFacts, ends: Instant) {
        let began = Instant::now();
        loop {
            seen.trouble = None;
            self.attempt(step, seen, ends).await;
            let (Some(again), Some(trouble)) = (step.eventually, &seen.trouble) else { return };
            let next = Instant::now() + again.every.0;
            let hopeless = matches!(trouble, Trouble::NotSent(_) | Trouble::OutOfTime);
            let over = next > began + again.within.0 || next > ends;
            if hopeless || over || self.facts.our_side.is_some() || self.facts.blocked.is_some() {
                return;
            }
            sleep_until(next).await;
        }
    }

    /// The facts, without anything that must not be kept.
    fn finish(mut self) -> Facts {
        let mut secrets = self.session.secrets();
        secrets.append(&mut self.secrets);
        let totp = self.ctx.scope.identity.as_ref().and_then(|identity| identity.totp.as_ref());
        if let (Some(totp), Some(window)) = (totp, self.facts.totp_step) {
            let codes = shown_codes(totp.expose(), window).into_iter();
            secrets.extend(codes.map(|code| Secret::new(code, "one-time code")));
        }
        self.facts.mask(&self.ctx.masker.and(&secrets));
        self.facts
    }
}

/// A name that no other run has: 80 random bits in base32, so that it can be searched for.
fn run_id() -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut bytes = [0; 16];
    // Without randomness the ids would still differ from each other by the address space they stand
    // in; aws-lc aborts before that can happen.
    let _ = rand::fill(&mut bytes);
    let digit = |byte: &u8| char::from(DIGITS.get(usize::from(byte & 31)).copied().unwrap_or(b'0'));
    format!("pw-{}", bytes.iter().map(digit).collect::<String>())
}
