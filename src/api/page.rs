//! The demo page, embedded. Nothing else is ever served from here, so there is no path to climb.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

use crate::api::reply;

/// Scripts, styles and connections of our own origin only; workers too (frame encryption runs in one).
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    media-src 'self' blob: mediastream:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

struct File {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! files {
    ($($name:literal $content_type:ident),* $(,)?) => {
        &[$(File {
            name: $name,
            content_type: $content_type,
            bytes: include_bytes!(concat!("../../demo/", $name)),
        }),*]
    };
}

const FILES: &[File] = files![
    "index.html" HTML,
    "style.css" STYLE,
    "icon.svg" IMAGE,
    "app.js" SCRIPT,
    "call.js" SCRIPT,
    "session.js" SCRIPT,
    "signalling.js" SCRIPT,
    "media.js" SCRIPT,
    "e2ee.js" SCRIPT,
    "e2ee-worker.js" SCRIPT,
    "crypto.js" SCRIPT,
    "link.js" SCRIPT,
    "people.js" SCRIPT,
    "stats.js" SCRIPT,
    "layout.js" SCRIPT,
    "tile.js" SCRIPT,
    "panel.js" SCRIPT,
    "ui.js" SCRIPT,
];

/// A file of the page by its name.
pub fn file(name: &str) -> Option<Response<Body>> {
    let file = FILES.iter().find(|file| file.name == name)?;
    let mut response = reply(StatusCode::OK, file.content_type, file.bytes);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_of_the_page_are_embedded() {
        let listed: Vec<&str> = include_str!("../../demo/FILES").split_whitespace().collect();
        let embedded: Vec<&str> = FILES.iter().map(|file| file.name).collect();
        assert_eq!(embedded, listed);
        assert!(file("FILES").is_none() && file("../Cargo.toml").is_none());
    }
}
