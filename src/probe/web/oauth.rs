//! Access tokens by client credentials (RFC 6749 section 4.4).

use http::{HeaderMap, HeaderValue, Method, header};
use schemars::JsonSchema;
use serde::Deserialize;

use super::facts::{Skipped, our_side};
use super::values::HttpUrl;
use crate::model::Secret;
use crate::net::{Request, Via};
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

/// Answers of token endpoints are small.
const MOST_BYTES: usize = 64 << 10;

/// Asks the token endpoint. The inner error is the target's fault, in words without secrets.
///
/// # Errors
/// Our side failed.
pub async fn token(
    client: &ClientCredentials,
    via: Via,
    ctx: &Ctx<'_>,
) -> Result<Result<Secret, String>, Skipped> {
    let HttpUrl(url) = &client.token_url;
    let request = match request(client, ctx) {
        Ok(request) => request,
        Err(why) => return Ok(Err(why)),
    };
    let at = super::mask::url(url, &[]);
    match ctx.net.exchange(&request, &via).await {
        Ok(response) => Ok(read(response.status, &response.body).map_err(|why| format!("{at} {why}"))),
        Err(error) => match our_side(&error) {
            Some(skipped) => Err(skipped),
            None => Ok(Err(format!("{at}: {error}"))),
        },
    }
}

/// Client id and secret go into `Authorization`, form-encoded first (RFC 6749 section 2.3.1).
fn request(client: &ClientCredentials, ctx: &Ctx<'_>) -> Result<Request, String> {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let secret = Secret::new(encode(client.client_secret.expose()), client.client_secret.shown());
    let credentials = super::values::basic_credentials(&encode(&client.client_id), &secret);
    let mut value = HeaderValue::from_str(&credentials)
        .map_err(|_| "the client's credentials hold characters that no header can hold".to_owned())?;
    value.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, value);
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if !client.scopes.is_empty() {
        form.append_pair("scope", &client.scopes.join(" "));
    }
    Ok(Request {
        method: Method::POST,
        url: (*client.token_url.0).clone(),
        headers,
        body: form.finish().into(),
        timeout: ctx.scope.timeout,
        max_body: MOST_BYTES,
    })
}

/// Reads the endpoint's answer (RFC 6749 sections 5.1 and 5.2).
fn read(status: u16, body: &[u8]) -> Result<Secret, String> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: Option<String>,
        token_type: Option<String>,
        error: Option<String>,
    }
    let answer = serde_json::from_slice::<Answer>(body);
    if status != 200 {
        let error = answer.ok().and_then(|answer| answer.error).map(|error| crate::judge::clip(&error));
        return Err(error.map_or_else(
            || format!("answered {status}, expected 200"),
            |error| format!("answered {status}, error {error:?}"),
        ));
    }
    let answer = answer.map_err(|_| "answered something that is no token response".to_owned())?;
    if answer.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err("gave a token that is no bearer token".to_owned());
    }
    match answer.access_token.filter(|token| !token.is_empty()) {
        Some(token) => Ok(Secret::new(token, "access token")),
        None => Err("answered without an access_token".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_endpoint_that_gives_no_token_says_why() {
        let good = br#"{"access_token":"t0ken","token_type":"Bearer","expires_in":3600}"#;
        assert_eq!(read(200, good).unwrap().expose(), "t0ken");
        for (status, body, part) in [
            (401, &br#"{"error":"invalid_client"}"#[..], "invalid_client"),
            (500, b"oops", "answered 500"),
            (200, b"oops", "no token response"),
            (200, br#"{"access_token":""}"#, "without an access_token"),
            (200, br#"{"access_token":"x","token_type":"mac"}"#, "no bearer"),
        ] {
            let why = read(status, body).unwrap_err();
            assert!(why.contains(part), "{why}");
        }
    }
}
