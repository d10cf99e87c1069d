//! Which web pages may call us from a browser (the Fetch standard's CORS protocol).

use axum::http::{HeaderMap, HeaderValue, header};

use crate::config::Origins;

/// Adds the headers that let the calling page read the answer, if it may.
pub fn allow(origins: &Origins, request: &HeaderMap, response: &mut HeaderMap) {
    let allowed = match origins {
        Origins::Any => Some(HeaderValue::from_static("*")),
        Origins::Listed(listed) => {
            response.append(header::VARY, HeaderValue::from_static("origin"));
            let origin = request.get(header::ORIGIN);
            origin.filter(|origin| is_listed(listed, origin)).cloned()
        }
    };
    if let Some(allowed) = allowed {
        response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    }
}

/// Adds what a preflight wants to know besides.
pub fn preflight(response: &mut HeaderMap) {
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ] {
        response.insert(name, HeaderValue::from_static(value));
    }
}

fn is_listed(listed: &[String], origin: &HeaderValue) -> bool {
    listed
        .iter()
        .any(|listed| origin.as_bytes().eq_ignore_ascii_case(listed.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_let_in_by_their_exact_origin() {
        let one = Origins::Listed(vec!["https://webapp.a.example".to_owned()]);
        let none = Origins::Listed(Vec::new());
        for (origins, origin, expected) in [
            (&one, "https://webapp.a.example", Some("https://webapp.a.example")),
            (&one, "https://webapp.a.example.evil", None),
            (&one, "http://webapp.a.example", None),
            (&Origins::Any, "https://other", Some("*")),
            (&none, "https://other", None),
        ] {
            let mut request = HeaderMap::new();
            request.insert(header::ORIGIN, origin.parse().unwrap());
            let mut response = HeaderMap::new();
            allow(origins, &request, &mut response);
            let allowed = response.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(allowed.map(|value| value.to_str().unwrap()), expected, "{origin}");
        }
    }
}
