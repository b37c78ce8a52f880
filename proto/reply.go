package proto

import (
	"slices"
	"strconv"
)

const crlf = "\r\n"

// The replies that are always the same bytes, CRLF included. They and the
// functions below are the only place where the words of the protocol stand.
const (
	// To any command.
	OutOfMemory   = "OUT_OF_MEMORY\r\n"
	InternalError = "INTERNAL_ERROR\r\n" // never sent by beanstalkd
	NotFound      = "NOT_FOUND\r\n"

	// To put. See AppendInserted for the other.
	Draining     = "DRAINING\r\n"
	ExpectedCRLF = "EXPECTED_CRLF\r\n"
	JobTooBig    = "JOB_TOO_BIG\r\n"

	// To reserve and reserve-with-timeout.
	DeadlineSoon = "DEADLINE_SOON\r\n"
	TimedOut     = "TIMED_OUT\r\n"

	// To the command of the same word. A kick of many has AppendKicked.
	Deleted  = "DELETED\r\n"
	Released = "RELEASED\r\n"
	Buried   = "BURIED\r\n"
	Touched  = "TOUCHED\r\n"
	Kicked   = "KICKED\r\n"
	Paused   = "PAUSED\r\n"

	// To ignore, of the only tube watched.
	NotIgnored = "NOT_IGNORED\r\n"

	// To ping, and to undrain. The reply to drain is Draining, and to delete-tube
	// Deleted.
	Pong        = "PONG\r\n"
	NotDraining = "NOT_DRAINING\r\n"
)

// Reply returns the reply to a line refused with this status, CRLF included.
// That of StatusOK is empty.
func (s Status) Reply() string {
	switch s {
	case BadFormat:
		return "BAD_FORMAT\r\n"
	case UnknownCommand:
		return "UNKNOWN_COMMAND\r\n"
	default:
		return ""
	}
}

// AppendInserted appends the reply to a put whose job is in the queue.
func AppendInserted(dst []byte, id uint64) []byte {
	return appendNumber(dst, "INSERTED ", id)
}

// AppendReserved appends the reply to a reserve of any kind. body is without
// its CRLF, and is copied.
func AppendReserved(dst []byte, id uint64, body []byte) []byte {
	return appendJob(dst, "RESERVED ", id, body)
}

// AppendFound appends the reply to a peek of any kind. body is without its
// CRLF, and is copied.
func AppendFound(dst []byte, id uint64, body []byte) []byte {
	return appendJob(dst, "FOUND ", id, body)
}

// AppendKicked appends the reply to kick, which moved n jobs. The reply to
// kick-job is Kicked, without a number.
func AppendKicked(dst []byte, n int) []byte {
	return appendNumber(dst, "KICKED ", uint64(n))
}

// AppendFlushed appends the reply to flush-tube, which deleted n jobs.
func AppendFlushed(dst []byte, n int) []byte {
	return appendNumber(dst, "FLUSHED ", uint64(n))
}

// AppendTruncated appends the reply to truncate, which deleted n jobs.
func AppendTruncated(dst []byte, n int) []byte {
	return appendNumber(dst, "TRUNCATED ", uint64(n))
}

// AppendReservedBatch appends the first line of the reply to reserve-batch, which n
// replies follow as to reserve.
func AppendReservedBatch(dst []byte, n int) []byte {
	return appendNumber(dst, "RESERVED_BATCH ", uint64(n))
}

// AppendDeletedBatch appends the reply to delete-batch, which deleted so many jobs,
// and did not find others.
func AppendDeletedBatch(dst []byte, deleted, notFound int) []byte {
	dst = append(dst, "DELETED_BATCH "...)
	dst = strconv.AppendUint(dst, uint64(deleted), 10)
	return appendNumber(dst, " ", uint64(notFound))
}

// AppendUsing appends the reply to use and list-tube-used.
func AppendUsing(dst []byte, name string) []byte {
	dst = append(dst, "USING "...)
	dst = append(dst, name...)
	return append(dst, crlf...)
}

// AppendWatching appends the reply to watch and ignore, after which the client
// watches n tubes.
func AppendWatching(dst []byte, n int) []byte {
	return appendNumber(dst, "WATCHING ", uint64(n))
}

func appendNumber(dst []byte, word string, n uint64) []byte {
	dst = append(dst, word...)
	dst = strconv.AppendUint(dst, n, 10)
	return append(dst, crlf...)
}

func appendJob(dst []byte, word string, id uint64, body []byte) []byte {
	dst = append(dst, word...)
	dst = strconv.AppendUint(dst, id, 10)
	dst = append(dst, ' ')
	dst = appendNumber(dst, "", uint64(len(body)))
	dst = append(dst, body...)
	return append(dst, crlf...)
}

// YAML is an "OK <n>" reply under construction: the answer to stats in its
// three forms and to the lists of tubes. Begin it with BeginYAML, add lines in
// the order they are to be sent, and take the bytes from End.
//
// The length stands before the text, so BeginYAML leaves room for it, and End
// fills it in where it is; the text moves by a byte or two if the room was
// wrong. So there is no second buffer, and no allocation if dst has capacity.
//
// Values are written as they are, never escaped, as in beanstalkd.
type YAML struct {
	buf    []byte
	start  int    // of the reply in buf
	indent string // of the next line with a key
}

// okRoom has the width of the first line of nearly every stats reply.
const okRoom = "OK 000\r\n"

// BeginYAML begins an OK reply at the end of dst, which belongs to the YAML
// until End.
func BeginYAML(dst []byte) YAML {
	return YAML{buf: append(dst, okRoom+"---\n"...), start: len(dst)}
}

// Uint adds the line "key: v".
func (y *YAML) Uint(key string, v uint64) {
	y.key(key)
	y.buf = strconv.AppendUint(y.buf, v, 10)
	y.buf = append(y.buf, '\n')
}

// Int adds the line "key: v".
func (y *YAML) Int(key string, v int64) {
	y.key(key)
	y.buf = strconv.AppendInt(y.buf, v, 10)
	y.buf = append(y.buf, '\n')
}

// Micros adds the line "key: <seconds>.<microseconds>", the latter six digits,
// for a time v in microseconds, which must not be negative: rusage-utime.
func (y *YAML) Micros(key string, v int64) {
	const second = 1_000_000
	y.key(key)
	y.buf = strconv.AppendInt(y.buf, v/second, 10)
	// A leading 1 keeps the zeros that follow it; the point takes its place.
	point := len(y.buf)
	y.buf = strconv.AppendInt(y.buf, second+v%second, 10)
	y.buf[point] = '.'
	y.buf = append(y.buf, '\n')
}

// Bare adds the line "key: value".
func (y *YAML) Bare(key, value string) {
	y.key(key)
	y.buf = append(y.buf, value...)
	y.buf = append(y.buf, '\n')
}

// Quoted adds the line `key: "value"`. beanstalkd 1.12 quoted the version only
// and sent names, hostname, os and platform bare.
func (y *YAML) Quoted(key, value string) {
	y.key(key)
	y.buf = append(y.buf, '"')
	y.buf = append(y.buf, value...)
	y.buf = append(y.buf, "\"\n"...)
}

// Next has the lines that follow, each with a key, be an item of a list, up to the
// next call of Next.
func (y *YAML) Next() { y.indent = "- " }

// None adds the line "[]", for a list without items.
func (y *YAML) None() { y.buf = append(y.buf, "[]\n"...) }

// List adds the line "key:", of which the items follow.
func (y *YAML) List(key string) {
	y.buf = append(y.buf, key...)
	y.buf = append(y.buf, ":\n"...)
}

// Item adds the line "- name".
func (y *YAML) Item(name string) {
	y.buf = append(y.buf, "- "...)
	y.buf = append(y.buf, name...)
	y.buf = append(y.buf, '\n')
}

func (y *YAML) key(key string) {
	if y.indent != "" {
		y.buf = append(y.buf, y.indent...)
		y.indent = "  "
	}
	y.buf = append(y.buf, key...)
	y.buf = append(y.buf, ": "...)
}

// End completes the reply and returns dst with it appended. The length sent
// counts the text from "---" to its last newline, not the CRLF after it.
func (y *YAML) End() []byte {
	text := y.start + len(okRoom)
	var scratch [len("OK ") + 20 + len(crlf)]byte // 20: digits of 2^64-1
	head := appendNumber(scratch[:0], "OK ", uint64(len(y.buf)-text))
	y.buf = slices.Replace(y.buf, y.start, text, head...)
	return append(y.buf, crlf...)
}
