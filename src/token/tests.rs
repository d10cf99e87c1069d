//! Tokens, good and bad.

use super::*;

/// Made with another implementation of HMAC.
const GOOD: [(&str, &str); 3] = [
    (
        "d=1900000000.v=1.k=0.s=1.r=qwerty",
        "eX7sts+9AfmpJzj6Lnfv5CjaP3kpabyjPA68euRf6EUNRBYAoAuoOqLGryv16TyVOLx0jfCFmH/RNhkE12vf6Q==",
    ),
    (
        "d=1900000000.v=1.k=0.s=0.r=qwerty",
        "ysrslJFlWuRd6FQ7eeWZOHZ8i1YpDQOb5c5yhmEYyzWGX9B0VDid1FB4G9Lds/oVuYgUdRJzRymOa9pmbneowg==",
    ),
    (
        "d=1893456000.v=1.k=0.s=1.r=0a9z",
        "QV8PUmR307KLW8Hg4CSIPjU4cHVpGrlZ1R3DG8MZzgi3k5mwyc7ZNRVAFILTKr0q8xRm1SNs/pSp/JZsOTqigw==",
    ),
];

const NOW: WallTime = WallTime(1_800_000_000_000);

fn secret() -> Secret {
    Secret::parse(b"correct-horse-0\n").unwrap()
}

/// A token as the backend makes it.
fn signed(username: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA512, b"correct-horse-0");
    STANDARD.encode(hmac::sign(&key, username.as_bytes()))
}

#[test]
fn tokens_of_another_implementation_are_good() {
    let [starts, joins, other] = GOOD.map(|(username, credential)| secret().check(NOW, username, credential));
    assert_eq!(starts, Ok(Standing::Starts(Bearer::new("qwerty"))));
    assert_eq!(joins, Ok(Standing::Joins(Bearer::new("qwerty"))));
    assert_eq!(other, Ok(Standing::Starts(Bearer::new("0a9z"))));
    let digits = GOOD.iter().filter(|(_, credential)| credential.contains('0'));
    assert!(digits.count() > 0, "the incumbent refuses credentials with the digit 0");
}

#[test]
fn a_token_is_good_until_its_second_is_over() {
    let username = "d=1800000000.v=1.k=0.s=1.r=a";
    let credential = signed(username);
    for (at, expected) in [
        (0, true),
        (1_799_999_999_999, true),
        (1_800_000_000_999, true),
        (1_800_000_001_000, false),
    ] {
        let checked = secret().check(WallTime(at), username, &credential);
        assert_eq!(checked.is_ok(), expected, "{at}");
        assert!(expected || checked == Err(BadToken::Expired), "{at}");
    }
}

#[test]
fn a_user_name_of_another_form_is_malformed_even_if_it_is_signed() {
    for username in [
        "",
        "d=1900000000",
        "d=1900000000.v=1.k=0.s=1.r=",
        "d=1900000000.v=1.k=0.s=1.r=A",
        "d=1900000000.v=1.k=0.s=1.r=a.x=1",
        "d=1900000000.v=1.k=0.s=1.r=a ",
        " d=1900000000.v=1.k=0.s=1.r=a",
        "d=1900000000.v=1.k=0.s=2.r=a",
        "d=1900000000.v=1.k=0.s=.r=a",
        "d=1900000000.v=1.k=0.s=01.r=a",
        "d=1900000000.v=2.k=0.s=1.r=a",
        "d=1900000000.v=1.k=1.s=1.r=a",
        "d=.v=1.k=0.s=1.r=a",
        "d=+1.v=1.k=0.s=1.r=a",
        "d=99999999999999999999.v=1.k=0.s=1.r=a",
        "sft-d=1900000000.v=1.k=0.t=s.r=a",
        "v=1.k=0.s=1.r=a.d=1900000000",
        &format!("d=1900000000.v=1.k=0.s=1.r={}", "a".repeat(MAX_TOKEN_BYTES)),
    ] {
        let checked = secret().check(NOW, username, &signed(username));
        assert_eq!(checked, Err(BadToken::Malformed), "{username}");
    }
}

#[test]
fn a_credential_fits_exactly_one_user_name_and_one_secret() {
    let [(username, credential), (join_only, _), _] = GOOD;
    let first = if credential.starts_with('A') { "B" } else { "A" };
    let bent = format!("{first}{}", &credential[1..]);
    let empty = STANDARD.encode([]);
    let half = STANDARD.encode([7; 32]);
    for (username, credential, expected, why) in [
        (username, bent.as_str(), BadToken::Forged, "another first letter"),
        (join_only, credential, BadToken::Forged, "s raised from 0 to 1"),
        (
            "d=1999999999.v=1.k=0.s=1.r=qwerty",
            credential,
            BadToken::Forged,
            "a later expiry",
        ),
        (username, &half, BadToken::Forged, "too short"),
        (username, &empty, BadToken::Forged, "nothing"),
        (username, &credential[..86], BadToken::Malformed, "without padding"),
        (
            username,
            &credential.replace('=', "*"),
            BadToken::Malformed,
            "no base64",
        ),
        (username, &"A".repeat(128), BadToken::Malformed, "too long"),
    ] {
        assert_eq!(secret().check(NOW, username, credential), Err(expected), "{why}");
    }
    let other = Secret::parse(b"correct-horse-1").unwrap();
    assert_eq!(other.check(NOW, username, credential), Err(BadToken::Forged));
    let expired = "d=1700000000.v=1.k=0.s=1.r=qwerty";
    assert_eq!(
        secret().check(NOW, expired, credential),
        Err(BadToken::Forged),
        "what is not proven is not read"
    );
}

#[test]
fn a_secret_is_the_first_word_of_its_file() {
    let [(username, credential), ..] = GOOD;
    for (file, expected) in [
        (&b"correct-horse-0"[..], true),
        (b"correct-horse-0\n", true),
        (b"correct-horse-0\r\n", true),
        (b"\n  correct-horse-0 and more\n", true),
        (b"correct-horse-0 \0", true),
        (b"correct horse-0", false),
    ] {
        let checked = Secret::parse(file).unwrap().check(NOW, username, credential);
        assert_eq!(checked.is_ok(), expected, "{file:?}");
    }
    for (file, expected) in [
        (Vec::new(), Some(BadSecret::Empty)),
        (b" \n\t".to_vec(), Some(BadSecret::Empty)),
        (vec![b'x'; MAX_SECRET_BYTES], None),
        (vec![b'x'; MAX_SECRET_BYTES + 1], Some(BadSecret::TooLong)),
    ] {
        assert_eq!(Secret::parse(&file).err(), expected);
    }
}

#[test]
fn nothing_of_a_token_is_printed() {
    let [(username, credential), ..] = GOOD;
    let standing = secret().check(NOW, username, credential).unwrap();
    assert_eq!(format!("{:?} {standing:?}", secret()), "Secret(…) Starts(Bearer(…))");
}

#[test]
fn only_a_join_only_token_may_not_start() {
    let bearer = || Bearer::new("a");
    for (standing, may_start, proven) in [
        (Standing::Anonymous, true, false),
        (Standing::Joins(bearer()), false, true),
        (Standing::Starts(bearer()), true, true),
    ] {
        assert_eq!((standing.may_start(), standing.is_proven()), (may_start, proven));
    }
}
