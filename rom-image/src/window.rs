//! The option-ROM window of a machine.

use paravirt_vmi_abi::header::{ROM_WINDOW_END, ROM_WINDOW_START};

/// The option-ROM window, C0000 to E0000, with images at physical addresses. Elsewhere it reads as FF, as a bus
/// does on which nobody answers.
///
/// What of an image lies outside the window is not in it; where two images meet, the later one is seen.
///
/// ```
/// use paravirt_vmi_rom_image::{Generation, Image, window};
///
/// let image = Image::new(Generation::V3_0);
/// let window = window([(0xC8000, &image)]);
/// assert_eq!(window.len(), 0x20000);
/// assert_eq!(window[0x8000..0x8002], [0x55, 0xAA]);
/// ```
pub fn window<T: AsRef<[u8]>>(images: impl IntoIterator<Item = (u32, T)>) -> Vec<u8> {
    let mut window = vec![0xFF; (ROM_WINDOW_END - ROM_WINDOW_START) as usize];
    for (address, image) in images {
        let image = image.as_ref();
        let before = ROM_WINDOW_START.saturating_sub(address) as usize;
        let start = address.saturating_sub(ROM_WINDOW_START) as usize;
        let seen = image.get(before..).unwrap_or_default();
        let place = window.get_mut(start..).unwrap_or_default();
        for (byte, new) in place.iter_mut().zip(seen) {
            *byte = *new;
        }
    }
    window
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_lies_at_its_address_and_the_rest_reads_as_ff() {
        let window = window([(0xC_0010, [1, 2]), (0xD_FFF0, [3, 4])]);
        assert_eq!(window[0xF..0x13], [0xFF, 1, 2, 0xFF]);
        assert_eq!(window[0x1_FFEF..0x1_FFF3], [0xFF, 3, 4, 0xFF]);
        assert_eq!(window.iter().filter(|byte| **byte != 0xFF).count(), 4);
    }

    #[test]
    fn what_lies_outside_the_window_is_not_in_it() {
        let images = [(0xB_FFFF, [1, 2]), (0xD_FFFF, [3, 4]), (0xE_0000, [5, 6]), (0, [7, 8]), (!0, [9, 9])];
        let window = window(images);
        assert_eq!((window.len(), window[0], window[1]), (0x2_0000, 2, 0xFF));
        assert_eq!(window[0x1_FFFE..], [0xFF, 3]);
    }

    #[test]
    fn of_two_images_at_one_place_the_later_is_seen() {
        let window = window([(0xC_0000, [1, 2]), (0xC_0001, [3, 4])]);
        assert_eq!(window[..4], [1, 3, 4, 0xFF]);
    }
}
