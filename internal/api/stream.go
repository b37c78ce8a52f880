package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// PutMany puts the jobs of lines, which are NDJSON of [Put], and calls f with
// each result, in order, while lines is being read: a server answers ahead of
// the end. tube is for lines without one; it may be "". It ends when lines
// does, or with f's first error.
func (c *Client) PutMany(ctx context.Context, tube string, lines io.Reader, f func(PutResult) error) error {
	v := url.Values{}
	set(v, "tube", tube)
	resp, err := c.open(ctx, call{method: http.MethodPost, path: Prefix + "/jobs", query: v, body: lines, mediaType: NDJSON})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	d := json.NewDecoder(resp.Body)
	for {
		var r PutResult
		switch err := d.Decode(&r); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("the server's answer ended early: %w", err)
		}
		if err := f(r); err != nil {
			return err
		}
	}
}

// Export returns the jobs of a tube, or of all if it is "", in those states,
// or any if there are none, as NDJSON of [Export]. The caller closes it; an
// export that could not be finished ends with an error other than io.EOF.
func (c *Client) Export(ctx context.Context, tube string, states []string) (io.ReadCloser, error) {
	v := url.Values{}
	set(v, "tube", tube)
	set(v, "state", strings.Join(states, ","))
	resp, err := c.open(ctx, call{method: http.MethodGet, path: Prefix + "/export", query: v, accept: NDJSON})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Import makes jobs of lines, which are what Export returned. tube, unless it
// is "", is where all of them go.
func (c *Client) Import(ctx context.Context, tube string, lines io.Reader) (*Imported, error) {
	v := url.Values{}
	set(v, "tube", tube)
	r := &Imported{}
	k := call{method: http.MethodPost, path: Prefix + "/import", query: v, body: lines, mediaType: NDJSON}
	if err := c.do(ctx, k, nil, r); err != nil {
		return nil, err
	}
	return r, nil
}

// EventsQuery asks for events.
type EventsQuery struct {
	Tubes []string // none is any
	Kinds []string // such as "job.put" or "tube.*"; none is any
	After uint64   // go on behind the event with that Seq, if the server still has it
}

// Events yields what happens, beginning now, until ctx ends or the connection
// does, when the last it yields is an error. Breaking out of the loop closes
// the connection.
func (c *Client) Events(ctx context.Context, q EventsQuery) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		v := url.Values{}
		for _, t := range q.Tubes {
			v.Add("tube", t)
		}
		for _, k := range q.Kinds {
			v.Add("kind", k)
		}
		k := call{method: http.MethodGet, path: Prefix + "/events", query: v, accept: SSE}
		if q.After > 0 {
			k.header = http.Header{"Last-Event-Id": {strconv.FormatUint(q.After, 10)}}
		}
		resp, err := c.open(ctx, k)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
			if !ok {
				continue // the same is in the data, or it is a heartbeat
			}
			var e Event
			err := json.Unmarshal(data, &e)
			if !yield(e, err) || err != nil {
				return
			}
		}
		if err = lines.Err(); err == nil {
			err = io.ErrUnexpectedEOF
		}
		yield(Event{}, err)
	}
}
