package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"spoked/internal/api"
	"spoked/proto"
	"spoked/queue"
)

// params reads the parameters of a request. Its methods return a value of the
// right type; the first thing that is wrong is what end returns, so that it is
// looked at once.
type params struct {
	values url.Values
	known  []string
	err    error
}

func (c *call) params() *params {
	values, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		err = problem(api.BadRequest, "the parameters are malformed: %v", err)
	}
	return &params{values: values, err: err}
}

func (p *params) fail(err error) {
	if p.err == nil && err != nil {
		p.err = err
	}
}

// tube returns the parameter tube, or "".
func (p *params) tube() string {
	tube := p.text("tube")
	if tube != "" {
		p.fail(checkTube("tube", tube))
	}
	return tube
}

// text returns a parameter, or "".
func (p *params) text(name string) string {
	p.known = append(p.known, name)
	switch v := p.values[name]; len(v) {
	case 0:
		return ""
	case 1:
		return v[0]
	default:
		p.fail(about(name, api.BadValue, "the parameter %s is there %d times", name, len(v)))
		return ""
	}
}

// list returns all values of a parameter that may be there several times.
func (p *params) list(name string) []string {
	p.known = append(p.known, name)
	return p.values[name]
}

// number returns a parameter within bounds, or the value that it has otherwise.
func (p *params) number(name string, otherwise, least, most uint64) uint64 {
	s := p.text(name)
	if s == "" && !p.values.Has(name) {
		return otherwise
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n < least || n > most {
		p.fail(about(name, api.BadValue, "the parameter %s is %.40q, and must be a number from %d to %d", name, s, least, most))
	}
	return n
}

func (p *params) flag(name string) bool {
	switch s := p.text(name); {
	case s == "" && !p.values.Has(name), s == "false":
		return false
	case s == "true":
		return true
	default:
		p.fail(about(name, api.BadValue, "the parameter %s is %.40q, and must be true or false", name, s))
		return false
	}
}

func (p *params) duration(name string, otherwise api.Duration) time.Duration {
	s := p.text(name)
	if s == "" && !p.values.Has(name) {
		return time.Duration(otherwise)
	}
	d, err := api.ParseDuration(s)
	if err != nil {
		p.fail(about(name, api.BadValue, "%v", err))
	}
	return time.Duration(d)
}

// states returns a set of states, which are apart by commas.
func (p *params) states(name string, otherwise queue.StateSet) queue.StateSet {
	s := p.text(name)
	if s == "" && !p.values.Has(name) {
		return otherwise
	}
	set, err := statesOf(name, strings.Split(s, ","))
	p.fail(err)
	return set
}

// statesOf returns the set of the states that names are.
func statesOf(member string, names []string) (set queue.StateSet, err error) {
	for _, name := range names {
		s, ok := stateOf(name)
		if !ok {
			return 0, about(member, api.BadValue, "%.40q is no state; states are ready, delayed, reserved and buried", name)
		}
		set |= queue.States(s)
	}
	return set, nil
}

func stateOf(name string) (queue.State, bool) {
	for s := range queue.NumStates {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}

// end returns the first thing that was wrong, a parameter that nobody has asked
// for included.
func (p *params) end() error {
	if p.err != nil {
		return p.err
	}
	for name := range p.values {
		if !slices.Contains(p.known, name) {
			if len(p.known) == 0 {
				return about(name, api.UnknownMember, "there is no parameter %.40q; this call has none", name)
			}
			return about(name, api.UnknownMember, "there is no parameter %.40q; there are %s", name, strings.Join(p.known, ", "))
		}
	}
	return nil
}

// noParams refuses any parameter.
func (c *call) noParams() error { return c.params().end() }

// tube returns the name of the tube in the path.
func (c *call) tube() (string, error) {
	name := c.r.PathValue("tube")
	if name == slashOnly {
		name = "/"
	}
	return name, checkTube("tube", name)
}

func checkTube(member, name string) error {
	if !proto.ValidTube([]byte(name)) {
		return about(member, api.BadValue, "%.220q cannot be the name of a tube, which has 1 to %d of the characters A-Z a-z 0-9 - + / ; . $ _ ( ), and no hyphen first",
			name, proto.MaxTubeName)
	}
	return nil
}

// id returns the id of the job in the path.
func (c *call) id() (uint64, error) {
	s := c.r.PathValue("id")
	id, err := strconv.ParseUint(s, 10, 64)
	if err != nil || s[0] == '+' {
		return 0, about("id", api.BadValue, "%.40q is not the id of a job, which is a number", s)
	}
	return id, nil
}

// mediaType returns the type of the request's body, "" if it has none.
func (c *call) mediaType() (string, error) {
	values := c.r.Header.Values("Content-Type")
	if len(values) == 0 {
		return "", nil
	}
	t, params, err := mime.ParseMediaType(values[0])
	if err != nil || len(values) > 1 {
		return "", problem(api.UnsupportedType, "the Content-Type is malformed")
	}
	if set := params["charset"]; set != "" && !strings.EqualFold(set, "utf-8") {
		return "", problem(api.UnsupportedType, "the request's charset is %.40q, and must be UTF-8", set)
	}
	if c.r.Header.Get("Content-Encoding") != "" {
		return "", problem(api.UnsupportedType, "the request is encoded (Content-Encoding), which this server does not read")
	}
	return t, nil
}

// body reads the request's body, which may have so many bytes.
func (c *call) body(most int64) ([]byte, error) {
	if c.r.ContentLength > most {
		return nil, problem(api.TooLarge, "the request has %d bytes, and may have %d", c.r.ContentLength, most)
	}
	b, err := io.ReadAll(&paced{c: c, r: http.MaxBytesReader(c.w, c.r.Body, most)})
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, problem(api.TooLarge, "the request may have %d bytes, and has more", most)
		}
		c.w.Header().Set("Connection", "close")
		return nil, problem(api.BadRequest, "the request's body could not be read: %v", err)
	}
	// Nothing more is expected: what waits from now on is not to be ended.
	_ = http.NewResponseController(c.w).SetReadDeadline(time.Time{})
	return b, nil
}

// paced reads a body that has to arrive at some rate: whoever sends a byte now
// and then would keep its memory and a goroutine for ever.
type paced struct {
	c    *call
	r    io.Reader
	read int64
	from time.Time
}

// Read reads.
func (p *paced) Read(b []byte) (int, error) {
	const slowest = 16 << 10 // bytes in a second
	if p.from.IsZero() {
		p.from = time.Now()
	}
	until := p.from.Add(p.c.h.opts.Patience + time.Duration(p.read/slowest)*time.Second)
	_ = http.NewResponseController(p.c.w).SetReadDeadline(until)
	n, err := p.r.Read(b)
	p.read += int64(n)
	return n, err
}

// json reads the request's body, a JSON value, into v. If it is optional there
// may be none.
func (c *call) json(v any, most int64, optional bool) error {
	t, err := c.mediaType()
	if err != nil {
		return err
	}
	b, err := c.body(most)
	if err != nil {
		return err
	}
	switch {
	case len(b) == 0 && optional:
		return nil
	case t != api.JSON:
		return problem(api.UnsupportedType, "the request's type is %.100q, and must be %s", t, api.JSON)
	case len(b) == 0:
		return problem(api.BadRequest, "the request has no body, and must have a JSON object")
	}
	return decode(b, v)
}

// noBody refuses a body.
func (c *call) noBody() error {
	if c.r.ContentLength == 0 {
		return nil
	}
	b, err := c.body(maxSmall)
	if err == nil && len(b) > 0 {
		err = problem(api.BadRequest, "the request has a body, and this call takes none")
	}
	return err
}

// decode reads a JSON object, strictly: what has no place in v is an error, as
// is anything behind the object.
func decode(b []byte, v any) error {
	if t := bytes.TrimLeft(b, " \t\r\n"); len(t) == 0 || t[0] != '{' {
		return problem(api.BadRequest, "the request must be a JSON object")
	}
	if !utf8.Valid(b) {
		return problem(api.BadRequest, "the JSON is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return malformed(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return problem(api.BadRequest, "there is something behind the JSON object")
	}
	return checkMembers(b, v)
}

// malformed returns the problem that an error of encoding/json is.
func malformed(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return about(wrong.Field, api.BadValue, "the member %s cannot be a JSON %s", wrong.Field, wrong.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		if s, e := strconv.Unquote(name); e == nil {
			return about(s, api.UnknownMember, "there is no member %.100q", s)
		}
	}
	if wrong, ok := errors.AsType[*json.SyntaxError](err); ok {
		return problem(api.BadRequest, "the JSON is malformed at byte %d: %v", wrong.Offset, wrong)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return problem(api.BadRequest, "the JSON ends early")
	}
	return problem(api.BadValue, "%s", strings.TrimPrefix(err.Error(), "json: "))
}

// checkMembers refuses names that are there twice, or are spelled otherwise:
// encoding/json takes "PRI" for "pri", and the last of two.
func checkMembers(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	_, _ = d.Token() // the brace: b has been read before
	names := memberNames(v)
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return problem(api.BadRequest, "the JSON is malformed")
		}
		if !slices.Contains(names, name) {
			return about(name, api.UnknownMember, "there is no member %.100q", name)
		}
		if seen[name] {
			return about(name, api.BadRequest, "the member %s is there twice", name)
		}
		seen[name] = true
		var skip json.RawMessage
		if err := d.Decode(&skip); err != nil {
			return malformed(err)
		}
	}
	return nil
}

// memberNames returns the names of v's members in JSON.
func memberNames(v any) (names []string) {
	for _, f := range fieldsOf(v) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// accepts refuses a request that does not accept any of the types.
func (c *call) accepts(types ...string) error {
	accept := strings.Join(c.r.Header.Values("Accept"), ",")
	if accept == "" {
		return nil
	}
	for part := range strings.SplitSeq(accept, ",") {
		t, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil {
			continue
		}
		if q, err := strconv.ParseFloat(params["q"], 64); err == nil && q == 0 {
			continue
		}
		for _, is := range types {
			family, _, _ := strings.Cut(is, "/")
			if t == "*/*" || t == family+"/*" || t == is {
				return nil
			}
		}
	}
	return problem(api.NotAcceptable, "the answer is of the type %s, and the request accepts %.100q alone", strings.Join(types, " or "), accept)
}

// fieldsOf returns the fields of the struct that v points to, and those of the
// structs in it.
func fieldsOf(v any) []reflect.StructField { return reflect.VisibleFields(reflect.TypeOf(v).Elem()) }

// shape says how bodies are to be answered with.
type shape struct {
	as    string
	bytes int // of a body; less than 0 for none
}

// shape reads the parameters as and bytes; otherwise so many bytes.
func (p *params) shape(otherwise uint64) shape {
	s := shape{as: p.text("as"), bytes: int(p.number("bytes", otherwise, 0, math.MaxInt32))}
	switch s.as {
	case "", "auto", "text":
	case "none":
		s.bytes = -1
	default:
		p.fail(about("as", api.BadValue, "the parameter as is %.40q, and must be auto, text or none", s.as))
	}
	return s
}

// content returns a body, or the beginning of one with that size.
func (s shape) content(body []byte, size uint32) (c api.Content, truncated bool) {
	truncated = len(body) < int(size)
	switch {
	case s.bytes < 0:
		return c, false
	case truncated:
		return api.Bytes(trimRune(body)), true
	case s.as == "text":
		return api.Bytes(body), false
	default:
		return api.Natural(body), false
	}
}

// bytesOf returns the body that a job is to have.
func bytesOf(c api.Content) ([]byte, error) {
	switch c.Members() {
	case 0:
		return nil, about("body", api.BadValue, "the job has no body: it needs one of the members body, json and base64")
	case 1:
	default:
		return nil, about("body", api.BadValue, "the job has several bodies: it needs one of the members body, json and base64")
	}
	b := c.Bytes()
	if b == nil && c.Base64 == nil {
		return nil, about("body", api.BadValue, "the body cannot be read")
	}
	if c.Body != nil && bytes.ContainsRune(b, utf8.RuneError) && !bytes.ContainsRune(c.Body, utf8.RuneError) &&
		!bytes.Contains(bytes.ToLower(c.Body), []byte(`\ufffd`)) {
		return nil, about("body", api.BadValue, "the body has half of a surrogate pair, which is no character; bytes can be put as base64")
	}
	return b, nil
}
