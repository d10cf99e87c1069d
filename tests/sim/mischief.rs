//! A peer whose frames are spoilt: bytes flipped, texts cut short, fields exchanged, numbers changed.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use serde_json::{Map, Value};

/// Numbers that break careless arithmetic.
const NASTY: [u64; 9] = [
    0,
    1,
    2,
    7,
    0x7fff_ffff,
    0xffff_fffe,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// Spoils every so many frames.
#[derive(Debug)]
pub struct Mischief {
    dice: ChaCha12Rng,
    every: u32,
    count: u32,
    numbers: Vec<u64>,
}

impl Mischief {
    pub fn new(seed: u64, every: u32) -> Mischief {
        Mischief {
            dice: ChaCha12Rng::seed_from_u64(seed),
            every,
            count: 0,
            numbers: NASTY.to_vec(),
        }
    }

    /// The frame, or what became of it.
    pub fn spoil(&mut self, json: Vec<u8>) -> Vec<u8> {
        self.count += 1;
        if !self.count.is_multiple_of(self.every) {
            self.remember(&json);
            return json;
        }
        match self.dice.random_range(0..8) {
            0 => self.flip(json),
            1 => self.cut_short(json),
            2 | 3 => self.exchange(&json),
            _ => self.renumber(&json),
        }
    }

    /// Numbers that mean something elsewhere make the best lies.
    fn remember(&mut self, json: &[u8]) {
        let Ok(mut value) = serde_json::from_slice::<Value>(json) else {
            return;
        };
        let mut found = Vec::new();
        numbers(&mut value, &mut |number| found.extend(number.as_u64()));
        for number in found {
            if self.numbers.len() < 64 {
                self.numbers.push(number);
            } else {
                let at = self.dice.random_range(NASTY.len()..64);
                self.numbers[at] = number;
            }
        }
    }

    fn flip(&mut self, mut json: Vec<u8>) -> Vec<u8> {
        for _ in 0..self.dice.random_range(1..4) {
            let at = self.dice.random_range(0..json.len());
            json[at] ^= 1 << self.dice.random_range(0..8);
        }
        json
    }

    fn cut_short(&mut self, mut json: Vec<u8>) -> Vec<u8> {
        let length = self.dice.random_range(0..json.len());
        json.truncate(length);
        json
    }

    /// Two fields of one object exchange their values.
    fn exchange(&mut self, json: &[u8]) -> Vec<u8> {
        let Ok(mut value) = serde_json::from_slice::<Value>(json) else {
            return json.to_vec();
        };
        let mut objects = Vec::new();
        collect(&mut value, &mut objects);
        let many: Vec<_> = objects.into_iter().filter(|object| object.len() > 1).collect();
        if !many.is_empty() {
            let object = self.dice.random_range(0..many.len());
            let names: Vec<String> = many[object].keys().cloned().collect();
            let (one, other) = (
                &names[self.dice.random_range(0..names.len())],
                &names[self.dice.random_range(0..names.len())],
            );
            value = exchanged(value, object, one, other);
        }
        value.to_string().into_bytes()
    }

    fn renumber(&mut self, json: &[u8]) -> Vec<u8> {
        let Ok(mut value) = serde_json::from_slice::<Value>(json) else {
            return json.to_vec();
        };
        let mut count = 0;
        numbers(&mut value, &mut |_| count += 1);
        if count == 0 {
            return json.to_vec();
        }
        let at = self.dice.random_range(0..count);
        let new = self.numbers[self.dice.random_range(0..self.numbers.len())];
        let mut seen = 0;
        numbers(&mut value, &mut |number| {
            if seen == at {
                *number = Value::from(new);
            }
            seen += 1;
        });
        value.to_string().into_bytes()
    }
}

fn numbers(value: &mut Value, each: &mut impl FnMut(&mut Value)) {
    match value {
        Value::Number(_) => each(value),
        Value::Array(values) => values.iter_mut().for_each(|value| numbers(value, each)),
        Value::Object(fields) => fields.values_mut().for_each(|value| numbers(value, each)),
        _ => {}
    }
}

fn collect(value: &mut Value, objects: &mut Vec<Map<String, Value>>) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| collect(value, objects)),
        Value::Object(fields) => {
            objects.push(fields.clone());
            fields.values_mut().for_each(|value| collect(value, objects));
        }
        _ => {}
    }
}

/// The same with two fields exchanged in the `at`th object that has several.
fn exchanged(mut value: Value, at: usize, one: &str, other: &str) -> Value {
    fn visit(value: &mut Value, left: &mut usize, names: (&str, &str)) -> bool {
        match value {
            Value::Array(values) => values.iter_mut().any(|value| visit(value, left, names)),
            Value::Object(fields) => {
                if fields.len() > 1 {
                    if *left == 0 {
                        let first = fields[names.0].clone();
                        let second = std::mem::replace(&mut fields[names.1], first);
                        fields[names.0] = second;
                        return true;
                    }
                    *left -= 1;
                }
                fields.values_mut().any(|value| visit(value, left, names))
            }
            _ => false,
        }
    }
    let mut left = at;
    visit(&mut value, &mut left, (one, other));
    value
}
