package api

import (
	"bytes"
	"encoding/json"
	"time"
	"unicode/utf8"
)

// A Job is what there is to tell about a job. Its body is in Body if it is
// text or JSON, and else in Base64; neither is there if it was not asked for.
type Job struct {
	ID    uint64 `json:"id"`
	Tube  string `json:"tube"`
	State string `json:"state"` // ready, delayed, reserved or buried
	Pri   uint32 `json:"pri"`

	Created  time.Time  `json:"created"` // the put
	Age      Duration   `json:"age"`     // since then
	Delay    Duration   `json:"delay"`   // as the last put or release said
	TTR      Duration   `json:"ttr"`
	At       *time.Time `json:"at,omitempty"`        // when a delayed job is ready, or a reservation ends
	TimeLeft Duration   `json:"time_left,omitempty"` // until then

	Reserves uint32 `json:"reserves"` // times, as the next four
	Timeouts uint32 `json:"timeouts"`
	Releases uint32 `json:"releases"`
	Buries   uint32 `json:"buries"`
	Kicks    uint32 `json:"kicks"`

	Size uint32 `json:"size"` // bytes of the body
	Content

	// Truncated tells that the content is but the beginning of the body.
	Truncated bool `json:"truncated,omitempty"`
	// Unsearched tells that the job was to be searched for a text and was not,
	// because its body could not be read in time.
	Unsearched bool `json:"unsearched,omitempty"`

	// Lease is what the job was reserved under, if it was; it is valid until
	// the instant At.
	Lease string `json:"lease,omitempty"`
}

// Content is the body of a job in JSON. Exactly one of its members is set, or
// none if there is no body.
type Content struct {
	// Body is a string for text, which stands for its bytes, or any other JSON
	// value, which stands for its compact form.
	Body json.RawMessage `json:"body,omitempty"`
	// JSON is a JSON value that stands for its compact form even if it is a
	// string. It is never in an answer.
	JSON json.RawMessage `json:"json,omitempty"`
	// Base64 is bytes; in JSON they are in base64.
	Base64 *[]byte `json:"base64,omitempty"`
}

// Text returns a content that is text.
func Text(s string) Content {
	b, _ := quote(s) // never fails
	return Content{Body: b}
}

// Bytes returns a content of bytes: as text if that is what they are.
func Bytes(b []byte) Content {
	if utf8.Valid(b) {
		return Text(string(b))
	}
	return Content{Base64: &b}
}

// Natural returns the content that says most about the bytes: the value if they
// are a JSON object or array, else what Bytes returns.
func Natural(b []byte) Content {
	if t := bytes.TrimLeft(b, " \t\r\n"); len(t) > 0 && (t[0] == '{' || t[0] == '[') && utf8.Valid(b) && json.Valid(b) {
		return Content{Body: json.RawMessage(b)}
	}
	return Bytes(b)
}

// IsZero reports whether there is no body.
func (c Content) IsZero() bool { return c.Body == nil && c.JSON == nil && c.Base64 == nil }

// Members returns how many ways the body is given in, of which one is right.
func (c Content) Members() (n int) {
	for _, given := range [...]bool{c.Body != nil, c.JSON != nil, c.Base64 != nil} {
		if given {
			n++
		}
	}
	return n
}

// Bytes returns the body, or nil if there is none. It allocates.
func (c Content) Bytes() []byte {
	switch {
	case c.Base64 != nil:
		return *c.Base64
	case c.JSON != nil:
		return compact(c.JSON)
	case len(c.Body) > 0 && c.Body[0] == '"':
		var s string
		if json.Unmarshal(c.Body, &s) != nil {
			return nil
		}
		return []byte(s)
	case c.Body != nil:
		return compact(c.Body)
	}
	return nil
}

func compact(v json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, v) != nil {
		return nil
	}
	return b.Bytes()
}

// quote returns s as a JSON string in which <, > and & are themselves.
func quote(s string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(s)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// What a put that does not say has.
const (
	DefaultPri = 1024
	DefaultTTR = Duration(time.Minute)
)

// A Put is a job to be put. Nil members have the default.
type Put struct {
	Tube  string    `json:"tube,omitempty"` // for many: where each line has its own
	Pri   *uint32   `json:"pri,omitempty"`  // DefaultPri
	Delay Duration  `json:"delay,omitempty"`
	TTR   *Duration `json:"ttr,omitempty"` // DefaultTTR; at least a second
	// IdempotencyKey, for many, is what the header IdempotencyKey is for one.
	IdempotencyKey *string `json:"idempotency_key,omitempty"`
	Content
}

// A PutResult is what came of a job to be put. Of many, each line has one.
type PutResult struct {
	Line  int    `json:"line,omitempty"` // from 1, of many
	ID    uint64 `json:"id,omitempty"`
	Error *Error `json:"error,omitempty"`
	// Replayed tells that the job had been put before, with the same IdempotencyKey.
	Replayed bool `json:"replayed,omitempty"`
}

// A Page is a part of a list of jobs, in the order of their ids.
type Page struct {
	Jobs []Job `json:"jobs"`
	// Complete tells that there are no more. If not, Next is what to ask for
	// jobs after; there may be none among these, for a search that has looked
	// at as many jobs as it may ends too.
	Complete bool   `json:"complete"`
	Next     uint64 `json:"next,omitempty"`
	// Examined is how many jobs were looked at, about.
	Examined int `json:"examined"`
}

// A Change is what a job is to have. Nil members stay.
type Change struct {
	Pri   *uint32   `json:"pri,omitempty"`
	Delay *Duration `json:"delay,omitempty"` // 0 makes a delayed job ready
	Tube  *string   `json:"tube,omitempty"`
}

// A Reserve asks for jobs.
type Reserve struct {
	Tubes []string `json:"tubes,omitempty"` // default: "default"
	Wait  Duration `json:"wait,omitempty"`  // for the first job
	Count int      `json:"count,omitempty"` // at most so many, default 1
	Ack   string   `json:"ack,omitempty"`   // "auto" deletes the jobs before they are answered with; default "lease"
}

// Reserved is the jobs that were reserved: none if there was none in time.
type Reserved struct {
	Jobs []Job `json:"jobs"`
}

// A Release says how a job goes back. Nil members stay as they are.
type Release struct {
	Pri   *uint32  `json:"pri,omitempty"`
	Delay Duration `json:"delay,omitempty"`
}

// A Bury says with what priority a job is set aside; nil is the one it has.
type Bury struct {
	Pri *uint32 `json:"pri,omitempty"`
}

// A Lease is a reservation.
type Lease struct {
	ID    uint64    `json:"id"`
	Lease string    `json:"lease"`
	At    time.Time `json:"at"` // when it ends
}

// An Export is a job with all that it has, a line of an export.
type Export struct {
	ID        uint64    `json:"id,omitempty"` // an import gives it a new one
	Tube      string    `json:"tube"`
	State     string    `json:"state"` // a reserved job is imported as ready
	Pri       uint32    `json:"pri"`
	Created   time.Time `json:"created"`
	Delay     Duration  `json:"delay,omitempty"`
	DelayLeft Duration  `json:"delay_left,omitempty"` // of a delayed job, when it was exported
	TTR       Duration  `json:"ttr"`
	Reserves  uint32    `json:"reserves,omitempty"`
	Timeouts  uint32    `json:"timeouts,omitempty"`
	Releases  uint32    `json:"releases,omitempty"`
	Buries    uint32    `json:"buries,omitempty"`
	Kicks     uint32    `json:"kicks,omitempty"`
	Content
}

// Imported is what came of an import.
type Imported struct {
	Imported int `json:"imported"`
	Failed   int `json:"failed"`
	// Errors are the first of those that failed.
	Errors []PutResult `json:"errors,omitempty"`
}
