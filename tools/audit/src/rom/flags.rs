//! The arithmetic flags, as far as conditions need them.

use iced_x86::ConditionCode;

/// The arithmetic flags, without AF, which no condition needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub carry: bool,
    pub zero: bool,
    pub sign: bool,
    pub overflow: bool,
    pub parity: bool,
}

/// The highest bit of a number of `size` bytes.
const fn top(size: usize) -> u32 {
    1 << (8 * size - 1)
}

/// A number cut to `size` bytes.
pub(super) const fn cut(value: u32, size: usize) -> u32 {
    value & (u32::MAX >> (32 - 8 * size))
}

impl Flags {
    /// The flags of a result without carry: those of logic.
    pub fn of(value: u32, size: usize) -> Self {
        let value = cut(value, size);
        Self {
            zero: value == 0,
            sign: value & top(size) != 0,
            parity: (value as u8).count_ones().is_multiple_of(2),
            ..Self::default()
        }
    }

    /// A sum with carry, and its flags.
    pub fn add(a: u32, b: u32, carry: bool, size: usize) -> (u32, Self) {
        let (a, b) = (cut(a, size), cut(b, size));
        let wide = u64::from(a) + u64::from(b) + u64::from(carry);
        let value = cut(wide as u32, size);
        let overflow = (a ^ value) & (b ^ value) & top(size) != 0;
        (value, Self { carry: wide >> (8 * size) != 0, overflow, ..Self::of(value, size) })
    }

    /// A difference with borrow, and its flags.
    pub fn subtract(a: u32, b: u32, borrow: bool, size: usize) -> (u32, Self) {
        let (a, b) = (cut(a, size), cut(b, size));
        let value = cut(a.wrapping_sub(b).wrapping_sub(borrow.into()), size);
        let carry = u64::from(a) < u64::from(b) + u64::from(borrow);
        let overflow = (a ^ b) & (a ^ value) & top(size) != 0;
        (value, Self { carry, overflow, ..Self::of(value, size) })
    }

    /// A left shift by 1 to 31, and its flags.
    pub fn shift_left(value: u32, count: u32, size: usize) -> (u32, Self) {
        let wide = u64::from(cut(value, size)) << count;
        let result = cut(wide as u32, size);
        let carry = wide >> (8 * size) & 1 != 0;
        (result, Self { carry, overflow: (result & top(size) != 0) != carry, ..Self::of(result, size) })
    }

    /// A right shift by 1 to 31, and its flags.
    pub fn shift_right(value: u32, count: u32, size: usize, signed: bool) -> (u32, Self) {
        let value = cut(value, size);
        let unused = 32 - 8 * size as u32;
        let wide = if signed { i64::from((value << unused) as i32 >> unused) } else { i64::from(value) };
        let result = cut((wide >> count) as u32, size);
        let carry = wide >> (count - 1) & 1 != 0;
        let overflow = !signed && value & top(size) != 0;
        (result, Self { carry, overflow, ..Self::of(result, size) })
    }

    /// Whether a condition holds.
    pub fn holds(self, condition: ConditionCode) -> bool {
        match condition {
            ConditionCode::None => true,
            ConditionCode::o => self.overflow,
            ConditionCode::no => !self.overflow,
            ConditionCode::b => self.carry,
            ConditionCode::ae => !self.carry,
            ConditionCode::e => self.zero,
            ConditionCode::ne => !self.zero,
            ConditionCode::be => self.carry || self.zero,
            ConditionCode::a => !self.carry && !self.zero,
            ConditionCode::s => self.sign,
            ConditionCode::ns => !self.sign,
            ConditionCode::p => self.parity,
            ConditionCode::np => !self.parity,
            ConditionCode::l => self.sign != self.overflow,
            ConditionCode::ge => self.sign == self.overflow,
            ConditionCode::le => self.zero || self.sign != self.overflow,
            ConditionCode::g => !self.zero && self.sign == self.overflow,
        }
    }

    /// The image in EFLAGS, with IF set: a kernel sees nothing else.
    pub fn image(self) -> u32 {
        let bit = |flag: bool, number: u32| u32::from(flag) << number;
        bit(self.carry, 0)
            | 1 << 1
            | bit(self.parity, 2)
            | bit(self.zero, 6)
            | bit(self.sign, 7)
            | 1 << 9
            | bit(self.overflow, 11)
    }

    /// The flags in an image of EFLAGS.
    pub fn from_image(image: u32) -> Self {
        let bit = |number: u32| image >> number & 1 != 0;
        Self { carry: bit(0), parity: bit(2), zero: bit(6), sign: bit(7), overflow: bit(11) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_differences_have_the_flags_of_the_manual() {
        let (value, flags) = Flags::add(0xFF, 0x01, false, 1);
        assert_eq!(
            (value, flags.carry, flags.zero, flags.overflow, flags.parity),
            (0, true, true, false, true)
        );
        let (value, flags) = Flags::add(0x7FFF_FFFF, 0, true, 4);
        assert_eq!((value, flags.carry, flags.sign, flags.overflow), (0x8000_0000, false, true, true));
        let (value, flags) = Flags::subtract(1, 2, false, 4);
        assert_eq!((value, flags.carry, flags.sign, flags.overflow), (u32::MAX, true, true, false));
        let (value, flags) = Flags::subtract(0x80, 1, false, 1);
        assert_eq!((value, flags.carry, flags.overflow), (0x7F, false, true));
        assert!(Flags::subtract(0, u32::MAX, true, 4).1.carry);
    }

    #[test]
    fn shifts_keep_the_last_bit_in_carry() {
        assert_eq!(Flags::shift_left(0x81, 1, 1).0, 0x02);
        assert!(Flags::shift_left(0x81, 1, 1).1.carry && !Flags::shift_left(0x41, 1, 1).1.carry);
        assert_eq!(Flags::shift_left(1, 31, 4).0, 0x8000_0000);
        assert_eq!(Flags::shift_right(0x80, 4, 1, true).0, 0xF8);
        assert_eq!(Flags::shift_right(0x80, 4, 1, false).0, 0x08);
        assert!(
            Flags::shift_right(0x08, 4, 4, false).1.carry && !Flags::shift_right(0x10, 4, 4, false).1.carry
        );
    }

    #[test]
    fn conditions_compare_with_and_without_sign() {
        let compare = |a, b| Flags::subtract(a, b, false, 4).1;
        let holds = |a, b, condition| compare(a, b).holds(condition);
        assert!(
            holds(1, 2, ConditionCode::b) && holds(1, 2, ConditionCode::l) && holds(1, 2, ConditionCode::ne)
        );
        assert!(holds(u32::MAX, 2, ConditionCode::a) && holds(u32::MAX, 2, ConditionCode::l));
        assert!(
            holds(2, 2, ConditionCode::be)
                && holds(2, 2, ConditionCode::le)
                && holds(2, 2, ConditionCode::ge)
        );
        assert!(holds(2, u32::MAX, ConditionCode::g) && holds(2, u32::MAX, ConditionCode::b));
    }

    #[test]
    fn an_image_holds_all_flags() {
        let flags = Flags { carry: true, zero: false, sign: true, overflow: true, parity: false };
        assert_eq!((flags.image(), Flags::from_image(flags.image())), (0xA83, flags));
        let others = Flags { zero: true, parity: true, ..Flags::default() };
        assert_eq!((others.image(), Flags::from_image(others.image())), (0x246, others));
    }
}
