package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"spoked/internal/api"
	"spoked/proto"
)

// newJob is a job to be put.
type newJob struct {
	tube       string
	body       []byte
	pri        uint32
	delay, ttr time.Duration
	name       string // where it comes from, for messages
	size       int    // of the body, when that has been sent
	// using, in place of a job, is closed when the tube is in use.
	using chan struct{}
}

// outcome is what came of a job to be put.
type outcome struct {
	*newJob
	id  uint64
	err error
}

// source yields jobs to be put.
type source struct {
	// next returns a job, or io.EOF. It may wait.
	next func() (*newJob, error)
	// ready reports whether next need not wait.
	ready func() bool
}

// always is a ready that is true.
func always() bool { return true }

// bodies returns a source of jobs like model, one for each body.
func bodies(model newJob, all [][]byte, names []string) *source {
	i := 0
	return &source{ready: always, next: func() (*newJob, error) {
		if i == len(all) {
			return nil, io.EOF
		}
		j := model
		j.body, j.name = all[i], names[i]
		i++
		return &j, nil
	}}
}

// longestLine is the longest line of an input, in bytes.
const longestLine = 2*proto.LargestMaxJobSize + 1<<20

// lineSource returns a source of a job for each line of in.
func lineSource(in io.Reader, parse func(line []byte) (*newJob, error)) *source {
	const size = 1 << 20
	r := bufio.NewReaderSize(in, size)
	n := 0
	return &source{
		ready: func() bool {
			b, _ := r.Peek(r.Buffered())
			return bytes.IndexByte(b, '\n') >= 0
		},
		next: func() (*newJob, error) {
			line, err := readLine(r)
			if err != nil {
				return nil, err
			}
			n++
			j, err := parse(line)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			j.name = fmt.Sprintf("line %d", n)
			return j, nil
		},
	}
}

// readLine returns a line without its end, in memory of its own. The last line needs
// no end.
func readLine(r *bufio.Reader) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull) && len(line) <= longestLine:
			continue
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, errors.New("a line is longer than any job may be")
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		case err != nil:
			return nil, err
		}
		return line[:len(line)-1], nil
	}
}

// ndjson returns a parser of lines such as {"tube":"mails","body":"hello"}, for jobs
// like model where they say nothing.
func ndjson(model newJob) func(line []byte) (*newJob, error) {
	return func(line []byte) (*newJob, error) {
		var v api.Put
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&v); err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("it is empty")
			}
			return nil, fmt.Errorf("no job in JSON: %s", strings.TrimPrefix(err.Error(), "json: "))
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return nil, errors.New("no job in JSON: there is something behind it")
		}
		if v.Members() != 1 {
			return nil, errors.New(`it must have one of the members "body", "json" and "base64"`)
		}
		j := model
		j.body = v.Content.Bytes()
		if j.body == nil {
			j.body = []byte{}
		}
		if v.Tube != "" {
			j.tube = v.Tube
		}
		if v.Pri != nil {
			j.pri = *v.Pri
		}
		if v.Delay != 0 {
			j.delay = time.Duration(v.Delay)
		}
		if v.TTR != nil {
			j.ttr = time.Duration(*v.TTR)
		}
		return &j, j.check()
	}
}

// check returns an error if there can be no such job.
func (j *newJob) check() error {
	for _, d := range []time.Duration{j.delay, j.ttr} {
		if d%time.Second != 0 || d/time.Second > math.MaxUint32 {
			return misuse("a delay and a time to run are whole seconds, at most %d: %v", uint32(math.MaxUint32), d)
		}
	}
	return checkTube(j.tube)
}

// validTube reports whether a tube can have that name.
func validTube(name string) bool { return proto.ValidTube([]byte(name)) }
