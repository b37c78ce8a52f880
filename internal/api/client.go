package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// A Client makes calls to one server. It may be used concurrently. Its methods
// block until the answer has come or ctx ends, and return an [*Error] for what
// the server refuses.
type Client struct {
	// URL is the server's, such as "http://127.0.0.1:11301".
	URL string
	// Token is sent with each call, unless it is "".
	Token string
	// HTTP makes the calls; nil is http.DefaultClient.
	HTTP *http.Client
}

// call is one call and what it is to be answered with.
type call struct {
	method, path string
	query        url.Values
	body         io.Reader
	mediaType    string // of the body
	accept       string
	header       http.Header // further ones
}

// open makes the call, and returns the answer if it is one of success. The
// caller closes its body.
func (c *Client) open(ctx context.Context, k call) (*http.Response, error) {
	u := strings.TrimSuffix(c.URL, "/") + k.path
	if len(k.query) > 0 {
		u += "?" + k.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, k.method, u, k.body)
	if err != nil {
		return nil, err
	}
	for name, values := range k.header {
		req.Header[name] = values
	}
	if k.mediaType != "" {
		req.Header.Set("Content-Type", k.mediaType)
	}
	if k.accept != "" {
		req.Header.Set("Accept", k.accept)
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	h := c.HTTP
	if h == nil {
		h = http.DefaultClient
	}
	resp, err := h.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, problemOf(resp)
}

// problemOf returns the problem that resp tells of.
func problemOf(resp *http.Response) error {
	const most = 1 << 20 // bytes
	text, _ := io.ReadAll(io.LimitReader(resp.Body, most))
	e := &Error{}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), Problem) && json.Unmarshal(text, e) == nil && e.Type != "" {
		return e
	}
	return fmt.Errorf("the server answers %s, which is not an answer of this API: %.100s", resp.Status, bytes.TrimSpace(text))
}

// do makes a call with a JSON value in and another out, either of which may be
// nil.
func (c *Client) do(ctx context.Context, k call, in, out any) error {
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		k.body, k.mediaType = bytes.NewReader(b), JSON
	}
	resp, err := c.open(ctx, k)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	if err = json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	return nil
}

// get makes a GET and returns its JSON answer.
func get[T any](ctx context.Context, c *Client, path string, query url.Values) (*T, error) {
	v := new(T)
	if err := c.do(ctx, call{method: http.MethodGet, path: path, query: query}, nil, v); err != nil {
		return nil, err
	}
	return v, nil
}

// post makes a POST with a JSON value, unless it is nil, and returns its answer.
func post[T any](ctx context.Context, c *Client, path string, in any) (*T, error) {
	v := new(T)
	if err := c.do(ctx, call{method: http.MethodPost, path: path}, in, v); err != nil {
		return nil, err
	}
	return v, nil
}

func tubePath(tube, rest string) string { return Prefix + "/tubes/" + escape(tube) + rest }

// escape returns a name as one segment of a path, even if it is "..".
func escape(name string) string {
	if s := strings.ReplaceAll(name, ".", ""); s == "" {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}

func jobPath(id uint64, rest string) string {
	return Prefix + "/jobs/" + strconv.FormatUint(id, 10) + rest
}

func leasePath(lease, rest string) string { return Prefix + "/leases/" + url.PathEscape(lease) + rest }

// Status returns the server's state.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	return get[Status](ctx, c, Prefix, nil)
}

// TubesQuery asks for tubes.
type TubesQuery struct {
	After, Prefix string
	Limit         int  // 0 is the server's default, 100; at most 10,000
	Oldest        bool // OldestReady too, which takes the server longer
}

// Tubes returns a part of the list of tubes.
func (c *Client) Tubes(ctx context.Context, q TubesQuery) (*Tubes, error) {
	v := url.Values{}
	set(v, "after", q.After)
	set(v, "prefix", q.Prefix)
	setNumber(v, "limit", uint64(q.Limit))
	setFlag(v, "oldest", q.Oldest)
	return get[Tubes](ctx, c, Prefix+"/tubes", v)
}

// Tube returns the counts of a tube, OldestReady included.
func (c *Client) Tube(ctx context.Context, tube string) (*Tube, error) {
	return get[Tube](ctx, c, tubePath(tube, ""), nil)
}

// DeleteTube deletes the jobs of a tube and ends its pause, and returns how
// many jobs there were. The tube is there as long as clients use or watch it.
func (c *Client) DeleteTube(ctx context.Context, tube string) (int, error) {
	v := &Count{}
	err := c.do(ctx, call{method: http.MethodDelete, path: tubePath(tube, "")}, nil, v)
	return v.Count, err
}

// Pause keeps the jobs of a tube from being reserved for so long.
func (c *Client) Pause(ctx context.Context, tube string, d Duration) (*Tube, error) {
	return post[Tube](ctx, c, tubePath(tube, "/pause"), PauseFor{d})
}

// Resume ends a tube's pause.
func (c *Client) Resume(ctx context.Context, tube string) (*Tube, error) {
	return post[Tube](ctx, c, tubePath(tube, "/resume"), nil)
}

// Clear deletes the jobs of a tube that are in one of those states, all if none
// is given, and returns how many; or how many it would, in a dry run.
func (c *Client) Clear(ctx context.Context, tube string, states []string, dryRun bool) (int, error) {
	v := url.Values{}
	set(v, "state", strings.Join(states, ","))
	setFlag(v, "dry_run", dryRun)
	n := &Count{}
	err := c.do(ctx, call{method: http.MethodPost, path: tubePath(tube, "/clear"), query: v}, nil, n)
	return n.Count, err
}

// Kick makes buried jobs of a tube ready, or else delayed ones, at most so
// many, and returns how many.
func (c *Client) Kick(ctx context.Context, tube string, count uint32) (int, error) {
	v, err := post[Count](ctx, c, tubePath(tube, "/kick"), Kick{count})
	if err != nil {
		return 0, err
	}
	return v.Count, nil
}

// Put puts a job and returns its id. With a key, which may be "", it is put
// once, however often this is called.
func (c *Client) Put(ctx context.Context, tube string, p Put, key string) (uint64, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return 0, err
	}
	k := call{method: http.MethodPost, path: tubePath(tube, "/jobs"), body: bytes.NewReader(b), mediaType: JSON}
	if key != "" {
		k.header = http.Header{IdempotencyKey: {key}}
	}
	v := &PutResult{}
	if err := c.do(ctx, k, nil, v); err != nil {
		return 0, err
	}
	return v.ID, nil
}

// JobsQuery asks for jobs.
type JobsQuery struct {
	Tube     string   // "" is any
	States   []string // none is any
	Contains string   // in the body
	After    uint64   // an id
	Limit    int      // 0 is the server's default, 100; at most 1000
	As       string   // how bodies are wanted: "auto" (or ""), "text" or "none"
	Bytes    int      // of each body; 0 is the server's default
}

// Jobs returns a part of the list of jobs.
func (c *Client) Jobs(ctx context.Context, q JobsQuery) (*Page, error) {
	v := url.Values{}
	set(v, "state", strings.Join(q.States, ","))
	set(v, "contains", q.Contains)
	set(v, "as", q.As)
	setNumber(v, "after", q.After)
	setNumber(v, "limit", uint64(q.Limit))
	setNumber(v, "bytes", uint64(q.Bytes))
	path := Prefix + "/jobs"
	if q.Tube != "" {
		path = tubePath(q.Tube, "/jobs")
	}
	return get[Page](ctx, c, path, v)
}

// Peek returns the next job of a tube in that state: ready, delayed or buried.
func (c *Client) Peek(ctx context.Context, tube, state string) (*Job, error) {
	return get[Job](ctx, c, tubePath(tube, "/peek"), url.Values{"state": {state}})
}

// Job returns a job.
func (c *Client) Job(ctx context.Context, id uint64) (*Job, error) {
	return get[Job](ctx, c, jobPath(id, ""), nil)
}

// Body returns the bytes of a job's body.
func (c *Client) Body(ctx context.Context, id uint64) ([]byte, error) {
	resp, err := c.open(ctx, call{method: http.MethodGet, path: jobPath(id, "/body"), accept: Raw})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// Delete deletes a job that nobody has reserved.
func (c *Client) Delete(ctx context.Context, id uint64) error {
	return c.do(ctx, call{method: http.MethodDelete, path: jobPath(id, "")}, nil, nil)
}

// Change changes a job that nobody has reserved.
func (c *Client) Change(ctx context.Context, id uint64, v Change) (*Job, error) {
	j := &Job{}
	err := c.do(ctx, call{method: http.MethodPatch, path: jobPath(id, "")}, v, j)
	return j, err
}

// KickJob makes a buried or delayed job ready.
func (c *Client) KickJob(ctx context.Context, id uint64) error {
	return c.do(ctx, call{method: http.MethodPost, path: jobPath(id, "/kick")}, nil, nil)
}

// Bulk does something to many jobs. If the result is not complete, it can be
// called again with its Next as After.
func (c *Client) Bulk(ctx context.Context, b Bulk) (*BulkResult, error) {
	return post[BulkResult](ctx, c, Prefix+"/bulk", b)
}

// Reserve reserves jobs, and waits for the first. There may be none.
func (c *Client) Reserve(ctx context.Context, r Reserve) ([]Job, error) {
	v, err := post[Reserved](ctx, c, Prefix+"/reserve", r)
	if err != nil {
		return nil, err
	}
	return v.Jobs, nil
}

// ReserveJob reserves a job in whatever tube and state it is.
func (c *Client) ReserveJob(ctx context.Context, id uint64) (*Job, error) {
	return post[Job](ctx, c, jobPath(id, "/reserve"), nil)
}

// DeleteLease deletes the job of a lease.
func (c *Client) DeleteLease(ctx context.Context, lease string) error {
	return c.do(ctx, call{method: http.MethodPost, path: leasePath(lease, "/delete")}, nil, nil)
}

// Release lets the job of a lease go.
func (c *Client) Release(ctx context.Context, lease string, r Release) error {
	return c.do(ctx, call{method: http.MethodPost, path: leasePath(lease, "/release")}, r, nil)
}

// Bury sets the job of a lease aside.
func (c *Client) Bury(ctx context.Context, lease string, b Bury) error {
	return c.do(ctx, call{method: http.MethodPost, path: leasePath(lease, "/bury")}, b, nil)
}

// Touch starts the time of a lease anew.
func (c *Client) Touch(ctx context.Context, lease string) (*Lease, error) {
	return post[Lease](ctx, c, leasePath(lease, "/touch"), nil)
}

// Drain has puts refused.
func (c *Client) Drain(ctx context.Context) error {
	return c.do(ctx, call{method: http.MethodPost, path: Prefix + "/drain"}, nil, nil)
}

// Undrain has puts taken again.
func (c *Client) Undrain(ctx context.Context) error {
	return c.do(ctx, call{method: http.MethodPost, path: Prefix + "/undrain"}, nil, nil)
}

// Connections returns a part of the list of connections: those after the one
// with that id, at most limit, or the server's default if it is 0.
func (c *Client) Connections(ctx context.Context, after uint64, limit int) (*ConnectionList, error) {
	v := url.Values{}
	setNumber(v, "after", after)
	setNumber(v, "limit", uint64(limit))
	return get[ConnectionList](ctx, c, Prefix+"/connections", v)
}

// Backup copies the journal to a directory on the server's machine.
func (c *Client) Backup(ctx context.Context, to string) (*Backup, error) {
	return post[Backup](ctx, c, Prefix+"/backup", BackupTo{to})
}

// Is reports whether err is a problem of that kind, such as NotFound.
func Is(err error, kind string) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind() == kind
}

func set(v url.Values, name, value string) {
	if value != "" {
		v.Set(name, value)
	}
}

func setNumber(v url.Values, name string, n uint64) {
	if n != 0 {
		v.Set(name, strconv.FormatUint(n, 10))
	}
}

func setFlag(v url.Values, name string, on bool) {
	if on {
		v.Set(name, "true")
	}
}
