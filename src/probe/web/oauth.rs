//! Access tokens (RFC 6749): by client credentials, by a user's password, by a refresh token.

#[cfg(test)]
mod tests;

use http::{HeaderMap, HeaderValue, Method, header};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::facts::{Failure, Skipped, failure, our_side};
use super::values::HttpUrl;
use crate::judge::clip;
use crate::model::{self, Identity, OAuth2, Secret};
use crate::net::{Request, Response, TransportError, Via};
use crate::probe::Ctx;

/// An OAuth2 client.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    /// The token endpoint.
    pub token_url: HttpUrl,
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: Secret,
    /// The scopes asked for.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// One request for an access token.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The token endpoint.
    pub token_url: &'a Url,
    /// The client's id.
    pub client_id: &'a str,
    /// The client's secret; public clients have none.
    pub client_secret: Option<&'a Secret>,
    /// The scopes asked for.
    pub scopes: &'a [String],
    /// What is shown for the token.
    pub shown: Shown<'a>,
}

/// What a client shows for a token.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// Itself (RFC 6749 section 4.4).
    Client,
    /// A user's name and password (section 4.3).
    Password(&'a str, &'a Secret),
    /// A refresh token (section 6).
    RefreshToken(&'a Secret),
}

/// A token.
#[derive(Clone, Debug)]
pub struct Token {
    /// What is sent as `Authorization: Bearer`. Known to this run alone, so it is this run that masks it.
    pub access: Secret,
    /// The server gave a new refresh token in the stead of the one shown (RFC 6749 section 6). It is not
    /// kept, and the old one may be refused the next time.
    pub rotated: bool,
}

/// Why no token came, where that is not our own side's fault.
#[derive(Debug)]
pub struct Refusal {
    /// One sentence that begins with the endpoint's address.
    pub why: String,
    /// The server refused the credentials themselves (`invalid_grant`, `invalid_client`, or 401): to show
    /// them again may lock the account.
    pub credentials: bool,
    /// No whole answer came.
    pub failure: Option<Failure>,
    /// The answer, for whoever tells throttles, lock-outs and challenges from refusals. Not to be shown:
    /// it holds whatever the server sent.
    pub answer: Option<Box<Response>>,
}

impl<'a> From<&'a ClientCredentials> for Grant<'a> {
    fn from(client: &'a ClientCredentials) -> Self {
        Self {
            token_url: &client.token_url.0,
            client_id: &client.client_id,
            client_secret: Some(&client.client_secret),
            scopes: &client.scopes,
            shown: Shown::Client,
        }
    }
}

impl<'a> Grant<'a> {
    /// The request of an identity; `None` where it has no `oauth2`, or lacks what its grant shows, which
    /// the config refuses.
    pub fn of(identity: &'a Identity) -> Option<Self> {
        let client @ OAuth2 { token_url, client_id, client_secret, scopes, .. } = identity.oauth2.as_ref()?;
        let shown = match client.grant {
            model::Grant::ClientCredentials => Shown::Client,
            model::Grant::Password => {
                Shown::Password(identity.username.as_deref()?, identity.password.as_ref()?)
            }
            model::Grant::RefreshToken => Shown::RefreshToken(client.refresh_token.as_ref()?),
        };
        Some(Self { token_url, client_id, client_secret: client_secret.as_ref(), scopes, shown })
    }

    /// Client id and secret go into `Authorization`, form-encoded first (RFC 6749 section 2.3.1). A
    /// client without a secret names itself in the body (section 3.2.1).
    fn request(&self, ctx: &Ctx<'_>) -> Result<Request, String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if let Some(secret) = self.client_secret {
            headers.insert(header::AUTHORIZATION, authorization(self.client_id, secret)?);
        }
        Ok(Request {
            method: Method::POST,
            url: self.token_url.clone(),
            headers,
            body: self.body().into(),
            timeout: ctx.scope.timeout,
            max_body: MOST_BYTES,
        })
    }

    fn body(&self) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        match self.shown {
            Shown::Client => form.append_pair("grant_type", "client_credentials"),
            Shown::Password(username, password) => form
                .append_pair("grant_type", "password")
                .append_pair("username", username)
                .append_pair("password", password.expose()),
            Shown::RefreshToken(token) => {
                form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token.expose())
            }
        };
        if self.client_secret.is_none() {
            form.append_pair("client_id", self.client_id);
        }
        if !self.scopes.is_empty() {
            form.append_pair("scope", &self.scopes.join(" "));
        }
        form.finish()
    }

    /// What `invalid_grant` says of what was shown.
    fn refused(&self) -> &'static str {
        match self.shown {
            Shown::Client => "the client's grant was refused",
            Shown::Password(..) => "the user's name or password was refused",
            Shown::RefreshToken(_) => {
                "the refresh token was refused: it is expired, revoked, or replaced at an earlier use"
            }
        }
    }
}

fn authorization(client_id: &str, secret: &Secret) -> Result<HeaderValue, String> {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let secret = Secret::new(encode(secret.expose()), secret.shown());
    let credentials = super::values::basic_credentials(&encode(client_id), &secret);
    let mut value = HeaderValue::from_str(&credentials)
        .map_err(|_| "the client's credentials hold characters that no header can hold".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Answers of token endpoints are small.
const MOST_BYTES: usize = 64 << 10;

/// Asks the token endpoint, once. The inner error is the target's fault. The way there is the caller's:
/// an endpoint of another origin is not shown the portal's client certificate.
///
/// # Errors
/// Our side failed.
pub async fn token(grant: Grant<'_>, via: Via, ctx: &Ctx<'_>) -> Result<Result<Token, Refusal>, Skipped> {
    let request = match grant.request(ctx) {
        Ok(request) => request,
        Err(why) => return Ok(Err(Refusal { why, credentials: false, failure: None, answer: None })),
    };
    let at = super::mask::url(grant.token_url, &[]);
    match ctx.net.exchange(&request, &via).await {
        Ok(response) => Ok(answered(&grant, &at, response)),
        Err(error) => match our_side(&error) {
            Some(skipped) => Err(skipped),
            None => Ok(Err(broke_off(&at, &error))),
        },
    }
}

fn broke_off(at: &str, error: &TransportError) -> Refusal {
    let why = format!("{at}: {error}");
    Refusal { why, credentials: false, failure: Some(failure(error)), answer: None }
}

fn answered(grant: &Grant<'_>, at: &str, response: Response) -> Result<Token, Refusal> {
    if let Some(error) = &response.body_error {
        return Err(broke_off(at, error));
    }
    read(grant, response.status, &response.body).map_err(|NoToken { why, credentials }| Refusal {
        why: format!("{at} {why}"),
        credentials,
        failure: None,
        answer: Some(Box::new(response)),
    })
}

/// What an answer without a token says.
#[derive(Debug, PartialEq, Eq)]
struct NoToken {
    why: String,
    credentials: bool,
}

impl From<&str> for NoToken {
    fn from(why: &str) -> Self {
        Self { why: why.to_owned(), credentials: false }
    }
}

/// The members of both kinds of answer (RFC 6749 sections 5.1 and 5.2).
#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    token_type: Option<String>,
    refresh_token: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

fn read(grant: &Grant<'_>, status: u16, body: &[u8]) -> Result<Token, NoToken> {
    let answer = serde_json::from_slice::<Answer>(body);
    if status != 200 {
        return Err(refusal(grant, status, answer.ok()));
    }
    let answer = answer.map_err(|_| "answered something that is no token response")?;
    // Some servers say so with status 200, against section 5.2.
    if answer.error.is_some() && answer.access_token.is_none() {
        return Err(refusal(grant, status, Some(answer)));
    }
    if answer.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err("gave a token that is no bearer token".into());
    }
    let access = answer.access_token.filter(|token| !token.is_empty());
    let access = access.ok_or("answered without an access_token")?;
    let rotated = match (grant.shown, answer.refresh_token) {
        (Shown::RefreshToken(old), Some(new)) => !new.is_empty() && new != old.expose(),
        _ => false,
    };
    Ok(Token { access: Secret::new(access, "access token"), rotated })
}

/// Whether an answer of this status is one about the request: neither a throttle nor an outage.
fn judges(status: u16) -> bool {
    status < 500 && status != 429
}

/// A code, as servers write them, decides; without one the status does.
fn refusal(grant: &Grant<'_>, status: u16, answer: Option<Answer>) -> NoToken {
    let (code, description) = answer.map_or((None, None), |said| (said.error, said.error_description));
    let Some(code) = code else {
        let why = format!("answered {status}, expected 200");
        return NoToken { why, credentials: status == 401 };
    };
    let meaning = match code.as_str() {
        "invalid_grant" => Some(grant.refused()),
        "invalid_client" => Some("the client's id or secret was refused"),
        _ => None,
    };
    let mut why = format!("answered {status}, error {:?}", clip(&code));
    if let Some(meaning) = meaning {
        why.push_str(&format!(": {meaning}"));
    }
    if let Some(description) = description {
        why.push_str(&format!(" ({:?})", clip(&description)));
    }
    let credentials = (meaning.is_some() && judges(status)) || status == 401;
    NoToken { why, credentials }
}
