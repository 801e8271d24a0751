//! Who may see and do what: bearer tokens with scopes, and HTTP Basic for people.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use tokio::time::Instant;

use crate::model::Secret;

/// What a caller may do. Ordered: `Operate` includes `Read`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// See everything.
    Read,
    /// Also change things.
    Operate,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No credentials, or none that are known: 401.
    Unauthorized,
    /// Known, but the scope does not reach: 403.
    Forbidden,
}

/// At most one line per this time about refused credentials.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// A token as it is configured: name, secret, scope.
pub type Token = (String, Secret, Scope);

/// The credentials that are known; a clone knows the same ones, also after they are replaced.
#[derive(Clone)]
pub struct Auth {
    known: Arc<RwLock<Arc<Known>>>,
    refused: Arc<Mutex<Refused>>,
}

/// Credentials as digests: comparing digests in constant time tells nothing about the secrets,
/// their lengths included.
struct Known {
    tokens: Vec<(String, Digest, Scope)>,
    basic: Option<(Digest, Digest)>,
    open: bool,
}

#[derive(Default)]
struct Refused {
    logged: Option<Instant>,
    unlogged: u64,
}

impl Auth {
    /// Knows `tokens` (name, secret, scope) and `basic` (user name, password). `open` says whether
    /// everyone is served when neither is configured: true on loopback, or under
    /// `insecure_public`; else nobody is.
    pub fn new(tokens: Vec<Token>, basic: Option<(String, Secret)>, open: bool) -> Self {
        let known = Known::new(tokens, basic, open);
        Self { known: Arc::new(RwLock::new(Arc::new(known))), refused: Arc::default() }
    }

    /// Knows these instead from now on; what was known before opens nothing any more.
    pub fn replace(&self, tokens: Vec<Token>, basic: Option<(String, Secret)>, open: bool) {
        let known = Arc::new(Known::new(tokens, basic, open));
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the request may do what needs `need`.
    pub fn check(&self, headers: &HeaderMap, need: Scope) -> Result<(), Denied> {
        let known = self.known();
        if known.tokens.is_empty() && known.basic.is_none() {
            return if known.open { Ok(()) } else { Err(Denied::Forbidden) };
        }
        let scope = known.scope_of(headers).ok_or(Denied::Unauthorized)?;
        if scope >= need { Ok(()) } else { Err(Denied::Forbidden) }
    }

    /// The challenges of a 401, one per scheme that is configured.
    pub fn challenges(&self) -> Vec<&'static str> {
        let known = self.known();
        let basic = known.basic.as_ref().map(|_| r#"Basic realm="portalwatch", charset="UTF-8""#);
        let bearer = (!known.tokens.is_empty()).then_some(r#"Bearer realm="portalwatch""#);
        basic.into_iter().chain(bearer).collect()
    }

    /// Counts a refusal. Returns how many to log, once a minute at most.
    pub fn refuse(&self) -> Option<u64> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.unlogged += 1;
        if refused.logged.is_some_and(|logged| logged.elapsed() < LOG_EVERY) {
            return None;
        }
        refused.logged = Some(Instant::now());
        Some(std::mem::take(&mut refused.unlogged))
    }
}

impl Known {
    fn new(tokens: Vec<Token>, basic: Option<(String, Secret)>, open: bool) -> Self {
        let hashed = |text: &str| digest(&SHA256, text.as_bytes());
        Self {
            tokens: tokens
                .into_iter()
                .map(|(name, secret, scope)| (name, hashed(secret.expose()), scope))
                .collect(),
            basic: basic.map(|(username, password)| (hashed(&username), hashed(password.expose()))),
            open,
        }
    }

    /// The scope of the credentials that came with the request. Two `Authorization` headers are
    /// none: proxies differ in which one they look at.
    fn scope_of(&self, headers: &HeaderMap) -> Option<Scope> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = values.next()?.to_str().ok()?;
        if values.next().is_some() {
            return None;
        }
        let (scheme, credentials) = value.split_once(' ')?;
        let credentials = credentials.trim();
        if credentials.is_empty() {
            return None;
        }
        if scheme.eq_ignore_ascii_case("bearer") {
            self.scope_of_token(credentials)
        } else if scheme.eq_ignore_ascii_case("basic") {
            self.scope_of_basic(credentials)
        } else {
            None
        }
    }

    fn scope_of_token(&self, token: &str) -> Option<Scope> {
        let given = digest(&SHA256, token.as_bytes());
        let mut granted = None;
        for (_, known, scope) in &self.tokens {
            if same(known, &given) {
                granted = granted.max(Some(*scope));
            }
        }
        granted
    }

    fn scope_of_basic(&self, credentials: &str) -> Option<Scope> {
        let (username, password) = self.basic.as_ref()?;
        let decoded = base64::engine::general_purpose::STANDARD.decode(credentials).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let (given_username, given_password) = decoded.split_at(colon);
        let username_fits = same(username, &digest(&SHA256, given_username));
        let given_password = given_password.get(1..).filter(|given| !given.is_empty())?;
        let password_fits = same(password, &digest(&SHA256, given_password));
        (username_fits & password_fits).then_some(Scope::Operate)
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let known = self.known();
        let names: Vec<&str> = known.tokens.iter().map(|(name, ..)| &**name).collect();
        write!(f, "Auth(tokens {names:?}, basic {}, open {})", known.basic.is_some(), known.open)
    }
}

fn same(known: &Digest, given: &Digest) -> bool {
    verify_slices_are_equal(known.as_ref(), given.as_ref()).is_ok()
}
