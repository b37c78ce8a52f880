package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"spoked/persist"
	"spoked/queue"
)

const (
	binlogSize = 10 << 20 // bytes of a file, as beanstalkd has it

	// binlogBody is the largest body that beanstalkd takes from its files
	// unless -z says otherwise: 65535 less the CR LF.
	binlogBody = 65535 - 2
)

// ExportReport is what came of an export.
type ExportReport struct {
	Dir    string   `json:"dir"` // of the segments
	To     string   `json:"to"`
	Files  int      `json:"files"`
	Jobs   int      `json:"jobs"`
	NextID uint64   `json:"next_id"`
	Torn   *Torn    `json:"torn,omitempty"`
	Pauses []string `json:"pauses_left_out"` // tubes, by name
	Large  []uint64 `json:"large"`           // ids of the jobs that beanstalkd leaves out without its -z
	Limit  int      `json:"job_size_limit"`  // what -z must be at least if there are such jobs; else 0
}

// Export writes the jobs of the journal in dir, which nobody may be using, as
// of the instant now, to files in the directory dest, which must not exist or
// be empty, so that beanstalkd can be started with it. O(bytes), and the memory
// of a server.
func Export(dir, dest string, now int64) (*ExportReport, error) {
	p, release, err := takePlace(dir)
	if err != nil {
		return nil, err
	}
	defer release()
	r, err := recoverDir(persist.OS{}, p.dir, now, queue.Limits{}, nil)
	if err != nil {
		return nil, err
	}
	x := &ExportReport{Dir: p.dir, To: dest, NextID: r.Engine.NextID(), Torn: p.torn(r), Pauses: []string{}, Large: []uint64{}}
	for pause := range r.Engine.Pauses() {
		x.Pauses = append(x.Pauses, pause.Tube)
	}
	slices.Sort(x.Pauses)
	return x, makeDir(dest, func(dir string) error { return x.write(dir, r.Engine) })
}

// write writes the jobs of e to files in dir. Those that beanstalkd may refuse
// to read come last, because it leaves out what follows them in a file.
func (x *ExportReport) write(dir string, e *queue.Engine) error {
	w := persist.NewBinlogWriter(func(index int) (io.WriteCloser, error) {
		x.Files = index
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprint("binlog.", index)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, err
		}
		return syncedFile{f}, nil
	}, binlogSize)

	type burial struct{ number, id uint64 }
	var buried []burial
	var last []uint64
	for r := range e.Jobs() {
		x.Jobs++
		large := len(r.Body) > binlogBody
		if large {
			x.Limit = max(x.Limit, len(r.Body)+2)
			x.Large = append(x.Large, r.ID)
		}
		switch {
		case r.State == queue.Buried:
			buried = append(buried, burial{r.Burial, r.ID})
		case large:
			last = append(last, r.ID)
		default:
			if err := w.Job(r); err != nil {
				return errors.Join(err, w.Close(0))
			}
		}
	}
	slices.SortFunc(buried, func(a, b burial) int { return cmp.Compare(a.number, b.number) })
	order := make([]uint64, 0, len(buried)+len(last))
	for _, b := range buried {
		order = append(order, b.id)
	}
	for _, id := range append(order, last...) {
		if r, ok := e.Describe(id); ok {
			if err := w.Job(r); err != nil {
				return errors.Join(err, w.Close(0))
			}
		}
	}
	return w.Close(x.NextID)
}

// syncedFile is durable when it has been closed.
type syncedFile struct{ *os.File }

// Close implements io.Closer.
func (f syncedFile) Close() error { return errors.Join(f.Sync(), f.File.Close()) }
