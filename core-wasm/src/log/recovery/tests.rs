use super::*;
use crate::error::Kind;
use crate::log::record::{Fields, ValueKind};

const HEADER: Header =
    Header { database_id: [7; 16], epoch: 1, first_sequence: 1, snapshot: false };

/// A log of single-version groups, and the offset at which each group ends. Each group is written
/// knowing that the one before is durable.
fn log(groups: u64) -> (Vec<u8>, Vec<usize>) {
    let framing = Framing::new(&HEADER);
    let mut bytes = HEADER.to_bytes();
    let mut ends = Vec::new();
    for group in 0..groups {
        let (sequence, durable) = (2 * group + 1, 2 * group);
        let key = format!("key{group}");
        let (record, _) = Fields {
            timestamp: group,
            previous: None,
            namespace: "n",
            key: &key,
            model: "",
            causes: &[],
            kind: ValueKind::Json,
            value: b"[1,2,3]",
            dimension: 0,
        }
        .seal(&[]);
        framing.write(&mut bytes, FrameType::Version, (sequence, durable), &[record.as_bytes()]);
        let commit = Commit { count: 1, head: [0; 32] }.to_bytes();
        framing.write(&mut bytes, FrameType::Commit, (sequence + 1, durable), &[&commit]);
        ends.push(bytes.len());
    }
    (bytes, ends)
}

/// Recovers `file`, fed in pieces of at least `piece` bytes: the outcome and the number of groups.
fn recover(file: &[u8], piece: usize) -> (Result<Outcome>, usize) {
    let mut recovery = Recovery::new(true);
    let (mut offset, mut want, mut groups) = (0, 0, 0);
    loop {
        let end = file.len().min(offset + piece.max(want));
        let last = end == file.len();
        let mut count = |_: Unit<'_>| -> Result<()> {
            groups += 1;
            Ok(())
        };
        match recovery.feed(offset as u64, &file[offset..end], last, &mut count) {
            Ok(Progress::More { offset: next, want: more }) => {
                assert!(!last && next >= offset as u64);
                (offset, want) = (usize::try_from(next).unwrap(), more);
            }
            Ok(Progress::Done(outcome)) => return (Ok(outcome), groups),
            Err(error) => return (Err(error), groups),
        }
    }
}

#[test]
fn a_whole_log_is_read_in_pieces_of_any_size() {
    let (file, ends) = log(5);
    let whole = Outcome { valid_bytes: ends[4] as u64, dropped_bytes: 0 };
    for piece in [1, 7, 64, 100, 1 << 20] {
        assert_eq!(recover(&file, piece), (Ok(whole), 5), "{piece}");
    }
}

#[test]
fn a_log_cut_anywhere_is_a_prefix() {
    let (file, ends) = log(4);
    for cut in HEADER_BYTES..file.len() {
        let groups = ends.iter().filter(|end| **end <= cut).count();
        let valid = if groups == 0 { HEADER_BYTES } else { ends[groups - 1] };
        let (outcome, found) = recover(&file[..cut], 128);
        let outcome = outcome.unwrap();
        assert_eq!((outcome.valid_bytes, found), (valid as u64, groups), "cut at {cut}");
        assert_eq!(outcome.dropped_bytes > 0, cut > valid, "cut at {cut}");
    }
}

#[test]
fn preallocated_zeros_are_not_dropped_data() {
    let (mut file, ends) = log(2);
    file.resize(file.len() + 100_000, 0);
    let whole = Outcome { valid_bytes: ends[1] as u64, dropped_bytes: 0 };
    assert_eq!(recover(&file, 4096), (Ok(whole), 2));
}

#[test]
fn every_flipped_bit_is_a_prefix_or_corruption() {
    let (file, ends) = log(3);
    for bit in 8 * HEADER_BYTES..8 * file.len() {
        let mut damaged = file.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let broken = ends.iter().filter(|end| **end <= bit / 8).count();
        let (outcome, groups) = recover(&damaged, 256);
        assert_eq!(groups, broken, "bit {bit}");
        let start = if broken == 0 { HEADER_BYTES } else { ends[broken - 1] };
        match outcome {
            // The last group: nothing may say that it was durable, so it may be a torn tail.
            Ok(outcome) => assert_eq!((broken, outcome.valid_bytes), (2, start as u64)),
            Err(error) => {
                assert_eq!(error.kind, Kind::Corrupt);
                let offset = error.details["offset"].as_u64().unwrap();
                assert!((start as u64..=bit as u64 / 8).contains(&offset), "bit {bit}");
            }
        }
    }
}

#[test]
fn an_unsynced_batch_that_arrived_out_of_order_is_cut() {
    let (mut file, ends) = log(1);
    let framing = Framing::new(&HEADER);
    let hole = file.len();
    file.resize(hole + 160, 0);
    // Sequence 5 follows the hole, but its writer knew only of sequence 2 as durable.
    let commit = Commit { count: 0, head: [0; 32] }.to_bytes();
    framing.write(&mut file, FrameType::Commit, (5, 2), &[&commit]);
    let (outcome, groups) = recover(&file, 64);
    let outcome = outcome.unwrap();
    assert_eq!((outcome.valid_bytes, groups), (ends[0] as u64, 1));
    assert!(outcome.dropped_bytes > 0);
}

#[test]
fn hostile_frames_are_refused_before_any_large_allocation() {
    let framing = Framing::new(&HEADER);
    let commit = |count| Commit { count, head: [0; 32] }.to_bytes();
    let wrong_count = |file: &mut Vec<u8>| {
        framing.write(file, FrameType::Commit, (1, 0), &[&commit(u32::MAX)]);
    };
    let no_record =
        |file: &mut Vec<u8>| framing.write(file, FrameType::Version, (1, 0), &[b"junk"]);
    let no_erasure = |file: &mut Vec<u8>| framing.write(file, FrameType::Erasure, (1, 0), &[b""]);
    let gap = |file: &mut Vec<u8>| framing.write(file, FrameType::Commit, (9, 8), &[&commit(0)]);
    for forge in [&wrong_count as &dyn Fn(&mut Vec<u8>), &no_record, &no_erasure, &gap] {
        let mut file = HEADER.to_bytes();
        forge(&mut file);
        assert_eq!(recover(&file, 64).0.unwrap_err().kind, Kind::Corrupt);
    }
}

#[test]
fn old_frames_behind_the_end_are_a_torn_tail() {
    let (file, ends) = log(4);
    let whole = Outcome { valid_bytes: ends[3] as u64, dropped_bytes: 0 };
    for (from, upto) in [(HEADER_BYTES, ends[0]), (ends[0], ends[1]), (HEADER_BYTES, ends[3])] {
        let old = &file[from..upto];
        let tail = [&file[..], old].concat();
        // Zeros at the very end are not counted as dropped.
        let dropped = old.iter().rposition(|&byte| byte != 0).unwrap() as u64 + 1;
        let torn = Outcome { dropped_bytes: dropped, ..whole };
        assert_eq!(recover(&tail, 64), (Ok(torn), 4), "{from}..{upto}");
    }
}

#[test]
fn frames_of_an_older_epoch_behind_the_end_are_a_torn_tail() {
    let (mut file, ends) = log(2);
    let older = Framing::new(&Header { epoch: 0, ..HEADER });
    older.write(&mut file, FrameType::Version, (5, 4), &[b"payload of long ago"]);
    let dropped_bytes = file.iter().rposition(|&byte| byte != 0).unwrap() + 1 - ends[1];
    let torn = Outcome { valid_bytes: ends[1] as u64, dropped_bytes: dropped_bytes as u64 };
    assert_eq!(recover(&file, 64), (Ok(torn), 2));
    let (mut file, _) = log(2);
    let newer = Framing::new(&Header { epoch: 2, ..HEADER });
    newer.write(&mut file, FrameType::Version, (5, 4), &[b"payload of a time to come"]);
    assert_eq!(recover(&file, 64).0.unwrap_err().kind, Kind::Corrupt);
}

/// A header that lies in two sectors may have reached the disk in part; the bytes behind the tear are
/// those of an older frame of the same length at the same place.
#[test]
fn a_header_torn_over_an_old_frame_is_a_torn_tail() {
    let framing = Framing::new(&HEADER);
    let group = |file: &mut Vec<u8>, sequence, value: &[u8]| {
        let fields = Fields {
            timestamp: sequence,
            previous: None,
            namespace: "n",
            key: "k",
            model: "",
            causes: &[],
            kind: ValueKind::Bytes,
            value,
            dimension: 0,
        };
        let (record, _) = fields.seal(&[]);
        framing.write(file, FrameType::Version, (sequence, 0), &[record.as_bytes()]);
        let commit = Commit { count: 1, head: [0; 32] }.to_bytes();
        framing.write(file, FrameType::Commit, (sequence + 1, 0), &[&commit]);
    };
    let mut tears = 0;
    for size in 1..1100 {
        let mut file = HEADER.to_bytes();
        group(&mut file, 1, &vec![b'1'; size]);
        let at = file.len();
        let tear = at.next_multiple_of(SECTOR_BYTES) - at;
        if tear == 0 || tear >= FRAME_HEADER_BYTES {
            continue;
        }
        let (mut new, mut old) = (Vec::new(), Vec::new());
        group(&mut new, 3, b"[2]");
        group(&mut old, 1, b"[1]");
        file.extend_from_slice(&new[..tear]);
        file.extend_from_slice(&old[tear..]);
        let outcome = recover(&file, 64).0;
        assert_eq!(outcome.map(|o| o.valid_bytes), Ok(at as u64), "{size}, torn after {tear}");
        tears += 1;
    }
    assert!(tears > 50);
}
