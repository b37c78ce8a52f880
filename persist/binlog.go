package persist

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"spoked/queue"
)

// A binlog file of beanstalkd is an int32, the version, and then records, up
// to the end of the file or to zeros: files are made full of zeros, and then
// written over. A record is whole or short:
//
//	whole  length of the tube's name, the name, struct, body with its CR LF
//	short  0, struct
//
// A job is first written whole, and later short when it changes or is deleted;
// whole again when it moves so that an old file can go. Numbers are as a
// little-endian machine of 64 bits has them in memory:
//
//	offset in struct                   offset in struct
//	 0 u64 id, never 0                 48 i64 deadline, instant; stale unless delayed
//	 8 u32 pri, 4 bytes of padding     56 u32 reserves
//	16 i64 delay                       60 u32 timeouts
//	24 i64 ttr                         64 u32 releases
//	32 i32 size of body and CR LF,     68 u32 buries
//	       4 bytes of padding          72 u32 kicks
//	40 i64 created, instant            76 u8  state, 3 bytes of padding
//
// There is no checksum. That a record is torn shows only by zeros where there
// cannot be any.

const (
	binlogPrefix     = "binlog."
	binlogVersionLen = 4   // bytes of the version
	binlogMaxName    = 200 // bytes of a tube's name
	binlogCRLF       = "\r\n"

	// binlogMaxDuration is the longest delay or TTR that the protocol knows.
	binlogMaxDuration = math.MaxUint32 * int64(time.Second)
)

// The states of a record.
const (
	binlogDeleted  = 0
	binlogReady    = 1
	binlogReserved = 2
	binlogBuried   = 3
	binlogDelayed  = 4
)

// binlogLayout is in what the versions differ.
type binlogLayout struct {
	nameLen   int   // bytes of the length of the tube's name
	structLen int   // bytes of the struct
	unit      int64 // of time in ns
}

// layoutOf returns the layout of a version, and false if it is not known.
func layoutOf(version int32) (l binlogLayout, ok bool) {
	switch version {
	case 7:
		return binlogLayout{4, 80, 1}, true
	case 5:
		return binlogLayout{8, 77, int64(time.Microsecond)}, true
	}
	return binlogLayout{}, false
}

// BinlogFile is a file that beanstalkd has written.
type BinlogFile struct {
	Name  string // in the directory
	Index int    // the N of binlog.N
	Size  int64  // bytes
}

// ListBinlog returns those of the names that beanstalkd gives its binlog
// files, binlog.1 and so on, in the order in which they were written. Their
// Size is left 0.
func ListBinlog(names []string) []BinlogFile {
	var files []BinlogFile
	for _, name := range names {
		if index, ok := binlogIndex(name); ok {
			files = append(files, BinlogFile{Name: name, Index: index})
		}
	}
	slices.SortFunc(files, func(a, b BinlogFile) int { return a.Index - b.Index })
	return files
}

func binlogName(index int) string { return binlogPrefix + strconv.Itoa(index) }

// binlogIndex returns the index of the binlog file of that name, and false if
// beanstalkd does not give that name.
func binlogIndex(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, binlogPrefix)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil && n > 0 && strconv.Itoa(n) == digits
}

// A Problem is something in a file that is not as it should be, and that does
// not keep the rest from being read.
type Problem struct {
	File   string
	Offset int64
	What   string
}

// String returns the problem as FILE:OFFSET: WHAT.
func (p Problem) String() string { return fmt.Sprintf("%s:%d: %s", p.File, p.Offset, p.What) }

// A BinlogReader gathers the jobs of beanstalkd's binlog files. It keeps some
// 200 bytes for each job that is there, and what the jobs borrow.
type BinlogReader struct {
	last    int // index of the file read last; 0 before the first
	jobs    map[uint64]*binlogJob
	first   *binlogJob // in the order of first appearance
	newest  *binlogJob
	tubes   map[string]string // names, so that the jobs of a tube share one
	burials uint64            // the last number given to one
	highest uint64            // id
}

// binlogJob is a job that is there.
type binlogJob struct {
	queue.Record
	deadline   int64 // as the last record said, whatever the state
	prev, next *binlogJob
}

// NewBinlogReader returns a reader that has not read anything.
func NewBinlogReader() *BinlogReader {
	return &BinlogReader{jobs: map[uint64]*binlogJob{}, tubes: map[string]string{}}
}

// Read takes in the next file, whole. The name is that of a binlog file, or a
// path to it. Files must be read in ascending order. The data is borrowed by
// the jobs in it and must stay unchanged while they are in use. O(bytes).
//
// The problems are what a crash or a damaged disk left behind: files missing
// before this one, and places in it from which nothing could be read up to its
// end or, if the problem says so, to the next record. Everything else is kept.
// An error means that nothing was read of a file that may be full of jobs.
//
// A delete of which only a part was written counts as one if nothing but zeros
// are missing, and so does what little was written of another record if it is
// byte for byte the delete of the same job.
func (r *BinlogReader) Read(name string, data []byte) (problems []Problem, err error) {
	index, ok := binlogIndex(filepath.Base(name))
	if !ok {
		return nil, fmt.Errorf("%s: not the name of a binlog file", name)
	}
	if index <= r.last {
		return nil, fmt.Errorf("%s: out of order, after %s", name, binlogName(r.last))
	}
	s := binlogScan{name: name, data: data}
	if r.last > 0 && index > r.last+1 {
		s.note(0, "files are missing before this one, %s to %s", binlogName(r.last+1), binlogName(index-1))
	}
	r.last = index
	switch {
	case len(data) < binlogVersionLen:
		s.note(0, "too short to hold anything, %d bytes", len(data))
		return s.problems, nil
	case firstNonZero(data) < 0:
		s.note(0, "nothing but zeros; it was being made when beanstalkd ended")
		return s.problems, nil
	}
	version := int32(binary.LittleEndian.Uint32(data))
	if s.layout, ok = layoutOf(version); !ok {
		return s.problems, fmt.Errorf("%s:0: unknown version %d of beanstalkd's binlog", name, version)
	}
	s.at = binlogVersionLen

	var rec binlogRecord
	for s.next(&rec) {
		r.highest = max(r.highest, rec.id)
		if rec.tube == nil {
			ok = r.takeShort(&s, &rec)
		} else if ok = s.body(&rec); ok {
			r.takeWhole(&s, &rec)
		}
		if !ok {
			break
		}
	}
	return s.problems, nil
}

// Jobs yields the jobs that are there after all that was read, in the order in
// which they first appeared. The records belong to the reader and change when
// it reads on.
func (r *BinlogReader) Jobs() iter.Seq[*queue.Record] {
	return func(yield func(*queue.Record) bool) {
		for j := r.first; j != nil; j = j.next {
			if !yield(&j.Record) {
				return
			}
		}
	}
}

// NextID returns an id higher than any in what was read, or 1.
func (r *BinlogReader) NextID() uint64 { return r.highest + 1 }

// takeWhole takes in a whole record.
func (r *BinlogReader) takeWhole(s *binlogScan, rec *binlogRecord) {
	j := r.jobs[rec.id]
	if j != nil && !rec.isOf(j) {
		// beanstalkd gives ids again after it could not read the files with
		// the jobs that had them.
		s.note(rec.at, "job %d takes the place of an older one with that id", rec.id)
		r.remove(j)
		j = nil
	}
	if j == nil {
		j = &binlogJob{prev: r.newest}
		if r.newest == nil {
			r.first = j
		} else {
			r.newest.next = j
		}
		r.newest = j
		r.jobs[rec.id] = j
	}
	j.ID = rec.id
	j.Tube = r.tube(rec.tube)
	j.Body = rec.body
	r.update(j, rec)
}

// takeShort takes in a short record. It returns false if that stops the scan.
func (r *BinlogReader) takeShort(s *binlogScan, rec *binlogRecord) bool {
	j := r.jobs[rec.id]
	switch {
	case j == nil: // it was in a file that is gone
	case rec.state == binlogDeleted && s.beforeEnd() && !rec.deletes(j):
		return s.stop(rec.at, "torn: job %d would be deleted, but as another than it is", rec.id)
	case rec.state == binlogDeleted:
		r.remove(j)
	case !rec.isOf(j):
		s.note(rec.at, "a change of another job with the id %d; skipped to the next record", rec.id)
	default:
		r.update(j, rec)
	}
	return true
}

// update makes j what rec says, apart from tube and body.
func (r *BinlogReader) update(j *binlogJob, rec *binlogRecord) {
	wasBuried := j.State == queue.Buried
	j.State, j.At = queue.Ready, 0
	switch rec.state {
	case binlogDelayed:
		j.State, j.At = queue.Delayed, rec.deadline
	case binlogBuried:
		j.State = queue.Buried
		if !wasBuried || rec.tube == nil { // otherwise it has but moved
			r.burials++
			j.Burial = r.burials
		}
	}
	if j.State != queue.Buried {
		j.Burial = 0
	}
	j.Pri = rec.pri
	j.Created = rec.created
	j.Delay = rec.delay
	j.TTR = max(rec.ttr, int64(time.Second))
	j.deadline = rec.deadline
	j.Reserves, j.Timeouts, j.Releases, j.Buries, j.Kicks = rec.reserves, rec.timeouts, rec.releases, rec.buries, rec.kicks
}

func (r *BinlogReader) remove(j *binlogJob) {
	delete(r.jobs, j.ID)
	if j.prev == nil {
		r.first = j.next
	} else {
		j.prev.next = j.next
	}
	if j.next == nil {
		r.newest = j.prev
	} else {
		j.next.prev = j.prev
	}
}

func (r *BinlogReader) tube(name []byte) string {
	if t, ok := r.tubes[string(name)]; ok {
		return t
	}
	t := string(name)
	r.tubes[t] = t
	return t
}

// binlogRecord is a record as it stands in a file, with durations in ns.
type binlogRecord struct {
	at   int    // offset in the file
	tube []byte // nil in a short record
	body []byte // without CR LF; nil in a short record

	id                                          uint64
	pri                                         uint32
	delay, ttr                                  int64
	size                                        int32 // of the body with CR LF
	created, deadline                           int64
	reserves, timeouts, releases, buries, kicks uint32
	state                                       byte
}

// isOf reports whether a record with the id of j is of the job j.
func (rec *binlogRecord) isOf(j *binlogJob) bool {
	return rec.created == j.Created && int(rec.size) == len(j.Body)+len(binlogCRLF)
}

// deletes reports whether a short record with state 0 and the id of j can be
// its delete. Otherwise it is the beginning of another record, written up to
// some byte before the state, and zeros.
func (rec *binlogRecord) deletes(j *binlogJob) bool {
	switch {
	case !rec.isOf(j):
		return false
	case rec.reserves < j.Reserves || rec.timeouts < j.Timeouts || rec.releases < j.Releases:
		return false
	case rec.kicks != j.Kicks:
		return false // a kick would have been written down
	case rec.buries != j.Buries && (j.State != queue.Buried || rec.buries != j.Buries+1):
		return false // so would a burial, other than the one that a restart counts
	case rec.releases == j.Releases && (rec.pri != j.Pri || rec.delay != j.Delay):
		return false
	case rec.delay != j.Delay && rec.delay != 0:
		return false // so would a release with a delay
	case rec.reserves > 0:
		return true
	}
	// Nobody ever had it. After a restart beanstalkd sets the deadline of a
	// delayed job again, a little later.
	return rec.deadline == j.deadline || rec.deadline > j.deadline && j.deadline > 0
}

// binlogScan goes through the records of a file.
type binlogScan struct {
	name     string
	data     []byte
	layout   binlogLayout
	at       int // offset up to which it has come
	problems []Problem
}

func (s *binlogScan) note(at int, format string, args ...any) {
	s.problems = append(s.problems, Problem{s.name, int64(at), fmt.Sprintf(format, args...)})
}

// stop notes why the scan ends, and returns false.
func (s *binlogScan) stop(at int, format string, args ...any) bool {
	s.note(at, format, args...)
	return false
}

// next reads the next record into rec, apart from its body. It returns false
// at the end of the log, or at something that is no record.
func (s *binlogScan) next(rec *binlogRecord) bool {
	*rec = binlogRecord{at: s.at}
	rest := s.data[s.at:]
	if len(rest) < s.layout.nameLen+s.layout.structLen {
		return s.end()
	}
	var nameLen uint64
	if s.layout.nameLen == 4 {
		nameLen = uint64(binary.LittleEndian.Uint32(rest))
	} else {
		nameLen = binary.LittleEndian.Uint64(rest)
	}
	if nameLen > binlogMaxName {
		return s.stop(s.at, "no record: the name of its tube would be longer than %d bytes", binlogMaxName)
	}
	rest = rest[s.layout.nameLen:]
	if nameLen > 0 {
		n := min(int(nameLen), len(rest))
		rec.tube, rest = rest[:n], rest[n:]
		if i := badNameByte(rec.tube); i >= 0 {
			return s.stop(s.at, "torn or damaged: byte 0x%02x in the name of a tube", rec.tube[i])
		}
		if len(rest) < s.layout.structLen {
			return s.end()
		}
	}
	timesOK := rec.decode(rest, s.layout.unit)
	if rec.id == 0 && rec.tube == nil {
		return s.end()
	}
	if what := rec.fault(timesOK); what != "" {
		return s.stop(s.at, "%s", what)
	}
	s.at += s.layout.nameLen + int(nameLen) + s.layout.structLen
	return true
}

// end ends the scan where no record follows. That is as it should be if no
// byte but zeros does.
func (s *binlogScan) end() bool {
	rest := s.data[s.at:]
	i := firstNonZero(rest)
	switch {
	case i < 0:
		return false
	case len(rest) < s.layout.nameLen+s.layout.structLen || i < s.layout.nameLen:
		return s.stop(s.at, "torn: the file ends within a record")
	}
	return s.stop(s.at+i, "something follows after the end of the log, which is at %d", s.at)
}

// beforeEnd reports whether no record follows, so that the one that the scan
// has come past may be torn.
func (s *binlogScan) beforeEnd() bool {
	rest := s.data[s.at:]
	return firstNonZero(rest[:min(len(rest), s.layout.nameLen+s.layout.structLen)]) < 0
}

// decode reads the struct that b begins with, and returns whether its times
// are such as can be.
func (rec *binlogRecord) decode(b []byte, unit int64) (timesOK bool) {
	timesOK = true
	instant := func(offset int) int64 {
		v := int64(binary.LittleEndian.Uint64(b[offset:]))
		if v < 0 || v > math.MaxInt64/unit {
			timesOK = false
			return 0
		}
		return v * unit
	}
	duration := func(offset int) int64 {
		v := instant(offset)
		timesOK = timesOK && v <= binlogMaxDuration
		return v
	}
	count := func(offset int) uint32 { return binary.LittleEndian.Uint32(b[offset:]) }

	rec.id = binary.LittleEndian.Uint64(b)
	rec.pri = count(8)
	rec.delay = duration(16)
	rec.ttr = duration(24)
	rec.size = int32(count(32))
	rec.created = instant(40)
	rec.deadline = instant(48)
	rec.reserves, rec.timeouts, rec.releases, rec.buries, rec.kicks = count(56), count(60), count(64), count(68), count(72)
	rec.state = b[76]
	return timesOK
}

// fault returns why rec cannot be a record, or "". The state is what is
// written last of a struct, so a torn one has none.
func (rec *binlogRecord) fault(timesOK bool) string {
	switch {
	case rec.tube != nil && (rec.id == 0 || rec.state == binlogDeleted):
		return fmt.Sprintf("torn: a job without an id or a state, in tube %q", rec.tube)
	case rec.state == binlogDeleted && (rec.created == 0 || rec.ttr == 0):
		return fmt.Sprintf("torn: job %d would be deleted, but was never put", rec.id)
	case rec.state > binlogDelayed:
		return fmt.Sprintf("damaged: job %d in state %d", rec.id, rec.state)
	case rec.id == math.MaxUint64:
		return fmt.Sprintf("damaged: job %d, after which there cannot be another", rec.id)
	case !timesOK:
		return fmt.Sprintf("damaged: job %d with a time that cannot be", rec.id)
	case int(rec.size) < len(binlogCRLF):
		return fmt.Sprintf("damaged: job %d with a body of %d bytes", rec.id, int(rec.size)-len(binlogCRLF))
	}
	return ""
}

// body reads the body of a whole record, up to which the scan has come.
func (s *binlogScan) body(rec *binlogRecord) bool {
	rest := s.data[s.at:]
	if int(rec.size) > len(rest) {
		return s.stop(rec.at, "torn: the file ends within the body of job %d", rec.id)
	}
	end := int(rec.size) - len(binlogCRLF)
	if string(rest[end:rec.size]) != binlogCRLF {
		return s.stop(rec.at, "torn: the body of job %d does not end in CR LF", rec.id)
	}
	rec.body = rest[:end:end]
	s.at += int(rec.size)
	return true
}

// badNameByte returns the index of the first byte of name that no tube can
// have in its name, or -1.
func badNameByte(name []byte) int {
	for i, c := range name {
		if c <= ' ' || c == 0x7f {
			return i
		}
	}
	return -1
}

// firstNonZero returns the index of the first byte of b that is not 0, or -1.
func firstNonZero(b []byte) int {
	for i, c := range b {
		if c != 0 {
			return i
		}
	}
	return -1
}
