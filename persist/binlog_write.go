package persist

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"time"

	"spoked/queue"
)

const (
	binlogVersion = 7        // of the files that are written
	binlogShort   = 84       // bytes of a short record of that version
	binlogFlush   = 64 << 10 // bytes that are written at once
)

// A BinlogWriter writes binlog files with which beanstalkd can go on. It has
// no more than one open at a time.
type BinlogWriter struct {
	create   func(index int) (io.WriteCloser, error)
	fileSize int64

	index   int // of the present file; 0 before the first
	file    io.WriteCloser
	size    int64  // of the file with what is in buf
	buf     []byte // not yet written
	highest uint64 // id of a job
	err     error  // the first of a file; nothing is written after it
}

// NewBinlogWriter returns a writer that has files made by create, binlog.1 and
// so on, when there is something to write to them. It makes no file larger
// than fileSize bytes, except for one with a single job that is.
func NewBinlogWriter(create func(index int) (io.WriteCloser, error), fileSize int64) *BinlogWriter {
	return &BinlogWriter{create: create, fileSize: fileSize}
}

// Job writes a job, of which it keeps nothing. Buried ones must come in the
// order of their burial. An error says that r cannot be written, or is what
// creating, writing or closing a file returned, and then returned again by
// every later call.
//
// beanstalkd, when it starts, leaves out a job whose body is larger than its
// limit (-z) less two bytes, and all those behind it in the file.
func (w *BinlogWriter) Job(r *queue.Record) error {
	if w.err != nil {
		return w.err
	}
	if what := unwritable(r); what != "" {
		return fmt.Errorf("job %d in tube %q cannot be written to a binlog: %s", r.ID, r.Tube, what)
	}
	rec := binlogRecord{
		tube: []byte(r.Tube), body: r.Body,
		id: r.ID, pri: r.Pri, delay: r.Delay, ttr: max(r.TTR, int64(time.Second)),
		size: int32(len(r.Body) + len(binlogCRLF)), created: r.Created,
		reserves: r.Reserves, timeouts: r.Timeouts, releases: r.Releases, buries: r.Buries, kicks: r.Kicks,
	}
	switch r.State {
	case queue.Ready:
		rec.state = binlogReady
	case queue.Delayed:
		rec.state, rec.deadline = binlogDelayed, r.At
	case queue.Buried:
		rec.state = binlogBuried
		if rec.buries > 0 { // beanstalkd will count it again
			rec.buries--
		}
	}
	w.highest = max(w.highest, r.ID)
	return w.write(&rec)
}

// Close ends the last file, and makes sure that beanstalkd will go on with the
// id nextID, or a higher one if it was given a job with a higher id. The
// writer must not be used after that.
func (w *BinlogWriter) Close(nextID uint64) error {
	if nextID > 1 && w.highest < nextID-1 {
		// beanstalkd goes by the highest id of a job, even of one that is gone.
		gone := binlogRecord{
			tube: []byte(defaultTube), id: nextID - 1,
			ttr: int64(time.Second), size: int32(len(binlogCRLF)), created: 1, state: binlogReady,
		}
		w.write(&gone)
		gone.tube, gone.state = nil, binlogDeleted
		w.write(&gone)
	}
	w.closeFile()
	return w.err
}

// unwritable returns why r cannot be written, or "".
func unwritable(r *queue.Record) string {
	switch {
	case r.ID == 0 || r.ID == math.MaxUint64:
		return "beanstalkd has no such id"
	case len(r.Tube) == 0 || len(r.Tube) > binlogMaxName || badNameByte([]byte(r.Tube)) >= 0:
		return "beanstalkd has no such tube"
	case r.State != queue.Ready && r.State != queue.Delayed && r.State != queue.Buried:
		return "it is " + r.State.String()
	case min(r.Created, r.Delay, r.TTR) < 0 || max(r.Delay, r.TTR) > binlogMaxDuration || r.State == queue.Delayed && r.At < 0:
		return "it has a time that beanstalkd cannot have"
	case len(r.Body) > math.MaxInt32-len(binlogCRLF):
		return "its body is too large"
	}
	return ""
}

// write writes rec to the present file, or to a new one if it is too large for
// what is left of that.
func (w *BinlogWriter) write(rec *binlogRecord) error {
	n := int64(len(rec.tube) + binlogShort)
	if rec.tube != nil {
		n += int64(rec.size)
	}
	if w.file != nil && w.size+n > w.fileSize {
		w.closeFile()
	}
	if w.err == nil && w.file == nil {
		w.open()
	}
	if w.err != nil {
		return w.err
	}
	w.buf = appendBinlogRecord(w.buf, rec)
	w.size += n
	if len(w.buf) >= binlogFlush {
		w.flush()
	}
	return w.err
}

func (w *BinlogWriter) open() {
	w.index++
	if w.file, w.err = w.create(w.index); w.err != nil {
		w.file = nil
		return
	}
	w.buf = binary.LittleEndian.AppendUint32(w.buf[:0], binlogVersion)
	w.size = binlogVersionLen
}

func (w *BinlogWriter) flush() {
	if w.err != nil || len(w.buf) == 0 {
		return
	}
	if _, err := w.file.Write(w.buf); err != nil {
		w.err = fmt.Errorf("%s:%d: %w", binlogName(w.index), w.size-int64(len(w.buf)), err)
	}
	w.buf = w.buf[:0]
}

// closeFile closes the present file, if there is one, even after an error.
func (w *BinlogWriter) closeFile() {
	if w.file == nil {
		return
	}
	w.flush()
	if err := w.file.Close(); err != nil && w.err == nil {
		w.err = fmt.Errorf("%s:%d: %w", binlogName(w.index), w.size, err)
	}
	w.file = nil
}

// appendBinlogRecord appends rec in version 7.
func appendBinlogRecord(b []byte, rec *binlogRecord) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(len(rec.tube)))
	b = append(b, rec.tube...)
	b = le.AppendUint64(b, rec.id)
	b = le.AppendUint64(b, uint64(rec.pri))
	b = le.AppendUint64(b, uint64(rec.delay))
	b = le.AppendUint64(b, uint64(rec.ttr))
	b = le.AppendUint64(b, uint64(rec.size))
	b = le.AppendUint64(b, uint64(rec.created))
	b = le.AppendUint64(b, uint64(rec.deadline))
	for _, n := range []uint32{rec.reserves, rec.timeouts, rec.releases, rec.buries, rec.kicks} {
		b = le.AppendUint32(b, n)
	}
	b = append(b, rec.state, 0, 0, 0)
	if rec.tube == nil {
		return b
	}
	return append(append(b, rec.body...), binlogCRLF...)
}
