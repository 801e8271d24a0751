//! The list of types that NSEC and NSEC3 carry (RFC 4034 section 4.1.2).

use super::RecordType;
use super::cursor::{Cursor, Malformed};

/// The types that exist at a name, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Types(pub Vec<RecordType>);

impl Types {
    /// Reads all that is left: windows of 256 types each, in ascending order.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let mut types = Vec::new();
        let mut least = 0_u16;
        while !cursor.is_empty() {
            let window = u16::from(cursor.u8()?);
            let bits = cursor.string()?;
            if window < least || bits.is_empty() || bits.len() > 32 {
                return Err(cursor.bad("a list of types that breaks its rules"));
            }
            least = window + 1;
            let set = (0_u16..).zip(bits).flat_map(|(index, byte)| {
                let bits = (0_u16..8).filter(move |bit| byte & (0x80 >> bit) != 0);
                bits.map(move |bit| RecordType((window << 8) | (index << 3) | bit))
            });
            types.extend(set);
        }
        Ok(Self(types))
    }

    /// Whether a type is listed.
    pub fn contains(&self, kind: RecordType) -> bool {
        self.0.contains(&kind)
    }
}
