//! Single values, appended in their wire form.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::Unexpected;

use super::Value;
use crate::wire::{put_len, put_varint};

const INDIFFERENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, INDIFFERENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, INDIFFERENT);

impl Value<'_> {
    fn tag(&mut self, wire_type: u64) {
        put_varint(self.out, u64::from(self.field.number) << 3 | wire_type);
    }

    pub(super) fn varint<E>(mut self, v: u64) -> Result<(), E> {
        if v != 0 || self.keeps_default {
            self.tag(0);
            put_varint(self.out, v);
        }
        Ok(())
    }

    pub(super) fn fixed64<E>(mut self, v: u64) -> Result<(), E> {
        if v != 0 || self.keeps_default {
            self.tag(1);
            self.out.extend_from_slice(&v.to_le_bytes());
        }
        Ok(())
    }

    pub(super) fn fixed32<E>(mut self, v: u32) -> Result<(), E> {
        if v != 0 || self.keeps_default {
            self.tag(5);
            self.out.extend_from_slice(&v.to_le_bytes());
        }
        Ok(())
    }

    /// Appends text as it is. Half a surrogate pair, which JavaScript writes when it cuts a string in an emoji, becomes
    /// U+FFFD; other bytes that are no UTF-8 pass, as in protobuf.
    pub(super) fn text(self, bytes: &[u8]) {
        if bytes.is_empty() && !self.keeps_default {
            return;
        }
        put_len(self.out, self.field.number, bytes);
        if std::str::from_utf8(bytes).is_err() {
            let start = self.out.len() - bytes.len();
            let text = &mut self.out[start..];
            for at in 0..text.len().saturating_sub(2) {
                if text[at] == 0xed && text[at + 1] >= 0xa0 {
                    text[at..at + 3].copy_from_slice("\u{fffd}".as_bytes());
                }
            }
        }
    }

    pub(super) fn id<E: serde::de::Error>(self, len: usize, hex: &[u8]) -> Result<(), E> {
        let mut id = [0; 16];
        if hex.is_empty() {
            return Ok(());
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let mut valid = hex.len() == len * 2;
        for (byte, pair) in id.iter_mut().zip(hex.chunks(2)) {
            match pair {
                [high, low] if let (Some(h), Some(l)) = (digit(*high), digit(*low)) => {
                    *byte = (h << 4 | l) as u8;
                }
                _ => valid = false,
            }
        }
        if !valid {
            let text = String::from_utf8_lossy(hex);
            return Err(E::invalid_value(Unexpected::Str(&text), &self));
        }
        put_len(self.out, self.field.number, &id[..len]);
        Ok(())
    }

    pub(super) fn base64<E: serde::de::Error>(self, text: &[u8]) -> Result<(), E> {
        match STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)) {
            Ok(bytes) => {
                put_len(self.out, self.field.number, &bytes);
                Ok(())
            }
            Err(error) => Err(E::custom(format_args!("{}: {error}", self.field.camel))),
        }
    }
}
