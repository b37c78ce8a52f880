// Package persist is the journal: it keeps an engine's jobs on disk, restores
// them, and reads and writes the binlog of beanstalkd. It starts no goroutine
// and reads no clock. What takes time it returns as values, batches to be
// written, syncs and chores, for threads that the caller has: see Journal.
// docs/durability.md says what is promised when, and why that is kept.
//
// # The log
//
// A journal is a directory of segments, files named by their numbers, such as
// 0000000007.segment. The numbers have no gap. The frames in the segments, one
// after the other, in the order of the numbers, are the log; a position in the
// log is a number of bytes, counting all of the segments up to where their last
// frames end, from the beginning of the first one that there ever was. Other
// names in the directory mean nothing to a reader.
//
// What is logged are effects: that a job is so from now on. Whoever applies
// them in order has the jobs. Nothing refers to a place in the log, so that
// applying a record again, or to a job that has ended, does no harm.
//
// All numbers are little-endian. A segment is
//
//	offset  bytes
//	0       7      "spokedj"
//	7       1      version of the format: 1
//	8       8      number of the segment
//	16      8      salt: a random number
//	24      4      0
//	28      4      CRC-32C of bytes 0 to 27
//	32             frames
//
// and what stands behind the last frame is 16 zeros, or as many as there are
// before the end of the file. Behind these there may be anything: a segment is
// made larger than it needs to be yet, of zeros, or of the file of an older one.
//
// A frame is
//
//	0       4      the lower half of the salt, with its lowest bit set
//	4       4      n: length of the records in bytes
//	8       4      CRC-32C of: the salt; the frame's offset in the file, as
//	               8 bytes; bytes 4 to 7 of the frame; bytes 12 to its end
//	12      8      position up to which the log had been synced when this frame
//	               was made
//	20      8      base: the instant to which others in the frame are relative,
//	               in nanoseconds since the Unix epoch
//	28      n      records
//
// The salt and the offset are in the checksum so that a frame is valid in its
// place only. What an older segment has left in the file is none, nor is a
// frame in the body of a job.
//
// A record is
//
//	1 byte         kind
//	varint         length of the fields in bytes
//	fields
//
// where a varint is the number in groups of 7 bits, the lowest first, each in a
// byte whose highest bit says that more follow. The kinds are
//
//	1  job      a job is so; it may have been there before
//	2  change   what can change of a job is so; all that is absent is at its
//	            default. If there is no such job, it has ended: ignore it
//	3  end      there is no such job any more
//	4  pause    a tube is paused, or without a length, is not
//	5  mark     about the log; the first record of its frame
//	6  move     as a change; and the job is in the tube that is said here
//
// A reader skips a kind of 64 or more that it does not know, and stops at a
// lower one: the journal is of a newer version then, and cannot be read.
//
// A field is
//
//	1 byte         tag * 2 + type
//	varint         type 0: the value; type 1: its length in bytes
//	bytes          type 1: the value
//
// A reader skips a field whose tag it does not know. The tags are as follows; what
// is of changes, is of moves, too.
//
//	tag type  of          absent
//	1   0     job change end    -        id. In a mark: the id of the next put
//	2   1     job pause move  "default"  tube
//	3   0     job change  0        state: 0 ready, 1 delayed, 2 buried
//	4   0     job change  0        pri
//	5   0     job         base     created: zigzag of base - the instant
//	6   0     job change  0        delay, a duration. In a pause: its length
//	7   0     job         0        ttr, a duration
//	8   0     job change  *        when a delayed job is ready: zigzag of the
//	                               instant - base. In a pause: its end
//	9   0     job change  0        of a buried job, the number of its burial:
//	                               smaller ones come first. In a mark: the
//	                               highest ever
//	10  0     job change  0        reserves
//	11  0     job change  0        timeouts
//	12  0     job change  0        releases
//	13  0     job change  0        buries
//	14  0     job change  0        kicks
//	15  1     job         empty    body, without a CR LF
//	16  0     mark        0        number of the first segment that counts
//	17  0     mark        0        position of this segment's first byte; only
//	                               in the mark that a segment begins with
//	18  0     mark        0        offset where the segment before ends; the same
//	19  0     mark        0        1: the server was stopped, and this is the end
//	20  0     job         -        CRC-32C of: the id, as 8 bytes; the body. For
//	                               who reads this record alone, and not its frame
//
// (*) In a job, created + delay; in a change, base + delay.
//
// The zigzag of v is 2v, or -2v-1 if v is negative. A duration is twice the
// number of seconds, or if it is not a whole number of them, twice the number
// of nanoseconds plus one. A reserved job is recorded as ready. Reserves and
// timeouts are not recorded when they happen, but with what is recorded next of
// the job, or when the server is stopped.
//
// The first segment that counts is the one that the newest mark names.
//
// # The end of the log
//
// The log ends where no valid frame follows. If that is not at 16 zeros, or at
// the end of the file, or if it is not in the last segment, the log is broken
// there. Every frame, in whatever segment, also a stray one behind a break,
// says how far the log was synced when it was made. If one says that it was
// synced beyond the break, the file is damaged. If none does, the break is what
// a crash has left of a write that nobody waited for, and the log ends there.
//
// A server that never syncs says in its frames that the log had been synced up
// to where their segment begins. So only in the newest segment a break is the
// end of the log; elsewhere it is damage, though it may come from a power cut.
//
// # Cleaning
//
// See clean.go.
//
// # beanstalkd's binlog
//
// See binlog.go, which draws it.
package persist
