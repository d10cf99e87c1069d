//! Which resource a path names.
//!
//! Stock clients put `/sft/<conference>` behind whatever URL they were given, with or without a slash at its end, and proxies put
//! `/sfts/<instance>` before it; empty segments are therefore ignored.

/// A resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Route<'a> {
    /// `/sft/<conference>`, `/sfts/<instance>/sft/<conference>`
    Conference(&'a str),
    /// `/sft/url`: our public URL, for the list that proxies build.
    Url,
    /// `/sft/status`
    Status,
    /// `/sft_servers_all.json`
    Servers,
    /// `/healthz`: the process answers.
    Health,
    /// `/readyz`: it takes calls.
    Ready,
    /// A file of the demo page, by its name; the page itself is `index.html`.
    Page(&'a str),
    /// Nothing of ours.
    Unknown,
}

/// The resource a path (without query) names.
#[must_use]
pub fn route(path: &str) -> Route<'_> {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let first_four = [parts.next(), parts.next(), parts.next(), parts.next()];
    if parts.next().is_some() {
        return Route::Unknown;
    }
    match first_four {
        [None, ..] => Route::Page("index.html"),
        [Some("healthz"), None, ..] => Route::Health,
        [Some("readyz"), None, ..] => Route::Ready,
        [Some("sft_servers_all.json"), None, ..] => Route::Servers,
        [Some("sft" | "sfts"), None, ..] => Route::Unknown,
        [Some(file), None, ..] => Route::Page(file),
        [Some("sft"), Some(name), None, _] | [Some("sfts"), Some(_), Some("sft"), Some(name)] => named(name),
        _ => Route::Unknown,
    }
}

fn named(name: &str) -> Route<'_> {
    match name {
        "url" => Route::Url,
        "status" => Route::Status,
        conference => Route::Conference(conference),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_resources() {
        for (path, expected) in [
            ("/sft/abc", Route::Conference("abc")),
            ("//sft/abc/", Route::Conference("abc")),
            ("/sfts/sft-0/sft/abc", Route::Conference("abc")),
            ("/sfts/0-a-9/sft/abc", Route::Conference("abc")),
            ("/sfts/sft/sft/abc", Route::Conference("abc")),
            ("/sfts/sft-0/sft/url", Route::Url),
            ("/sft/url", Route::Url),
            ("/sft/status", Route::Status),
            ("/sft_servers_all.json", Route::Servers),
            ("/healthz", Route::Health),
            ("/readyz", Route::Ready),
            ("/", Route::Page("index.html")),
            ("/app.js", Route::Page("app.js")),
            ("/sft", Route::Unknown),
            ("/sfts/sft-0", Route::Unknown),
            ("/sfts/sft-0/sft", Route::Unknown),
            ("/sft/abc/def", Route::Unknown),
            ("/sfts/sft-0/sft/abc/def", Route::Unknown),
            ("/a/b", Route::Unknown),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }
}
