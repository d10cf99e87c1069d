//! Which web pages may call us from a browser (the Fetch standard's CORS protocol).

use axum::http::{HeaderMap, HeaderValue, header};

/// The web origins that are let in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origins {
    /// Every page: `*`.
    Any,
    /// These alone, as `https://webapp.a.example`; none: only pages of our own origin.
    Listed(Vec<String>),
}

impl Origins {
    /// What an administrator listed; one `*` lets everyone in.
    #[must_use]
    pub fn new(listed: &[String]) -> Origins {
        if listed.iter().any(|origin| origin == "*") {
            return Origins::Any;
        }
        let normal = |origin: &String| origin.trim_end_matches('/').to_ascii_lowercase();
        Origins::Listed(listed.iter().map(normal).collect())
    }

    /// Adds the headers that let the page read the answer, if it may.
    pub fn allow(&self, request: &HeaderMap, response: &mut HeaderMap) {
        let allowed = match self {
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
    pub fn preflight(&self, response: &mut HeaderMap) {
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
            (header::ACCESS_CONTROL_MAX_AGE, "86400"),
        ] {
            response.insert(name, HeaderValue::from_static(value));
        }
    }
}

fn is_listed(listed: &[String], origin: &HeaderValue) -> bool {
    let origin = origin.to_str().map(str::to_ascii_lowercase).unwrap_or_default();
    listed.contains(&origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_let_in_by_their_exact_origin() {
        let listed = ["https://webapp.a.example/".to_owned()];
        for (origins, origin, expected) in [
            (Origins::new(&listed), "https://webapp.a.example", Some("https://webapp.a.example")),
            (Origins::new(&listed), "https://webapp.a.example.evil", None),
            (Origins::new(&listed), "http://webapp.a.example", None),
            (Origins::new(&["*".to_owned()]), "https://other", Some("*")),
            (Origins::new(&[]), "https://other", None),
        ] {
            let mut request = HeaderMap::new();
            request.insert(header::ORIGIN, origin.parse().unwrap());
            let mut response = HeaderMap::new();
            origins.allow(&request, &mut response);
            let allowed = response.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(allowed.map(|value| value.to_str().unwrap()), expected, "{origin}");
        }
    }
}
