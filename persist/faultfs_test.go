package persist_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"

	"spoked/persist"
)

// sector is how much a disk writes whole, in bytes.
const sector = 512

// op is a kind of operation of a file system.
type op int

const (
	opReadDir op = iota
	opReadFile
	opCreate
	opOpen
	opRename
	opRemove
	opMkdir
	opSyncDir
	opWrite
	opSync
	opAllocate
	opTruncate
	opClose
	numOps
)

var opNames = [numOps]string{
	"readdir", "readfile", "create", "open", "rename", "remove", "mkdir", "syncdir",
	"write", "sync", "allocate", "truncate", "close",
}

func (o op) String() string { return opNames[o] }

var (
	errCrashed  = errors.New("the system has crashed")
	errInjected = errors.New("injected")
)

// fault is what happens at an operation instead of it.
type fault struct {
	err    error
	part   float64 // of a write: how much of it is done nevertheless
	crash  bool    // nothing happens any more
	sticky bool    // every later operation of its kind fails, too
}

// faultFS is a file system in memory on a disk with a volatile cache. It
// keeps what was written apart from what is durable:
//
//   - of a file, writes since the last Sync are durable or not, sector by
//     sector, and so is its size;
//   - that a file was made, renamed or removed since the last SyncDir is
//     durable or not, each by itself.
//
// Power cuts choose from a seed. It is not safe for concurrent use.
type faultFS struct {
	files   map[string]*inode // by path, as written
	durable map[string]*inode
	pending []map[string]*inode // changes of files since SyncDir; nil: not there

	capacity int64 // bytes of all files; 0: no limit

	ops    int // operations so far
	counts [numOps]int
	crash  bool                           // nothing happens any more
	inject func(o op, name string) *fault // called before each operation, if not nil
	failed [numOps]error                  // sticky
}

func newFaultFS() *faultFS {
	return &faultFS{files: map[string]*inode{}, durable: map[string]*inode{}}
}

// inode is a file, whatever its name is.
type inode struct {
	data   []byte // as written
	disk   []byte // as it was at the last Sync
	writes []change
}

// change is a write, or if data is nil a new size.
type change struct {
	at   int64
	data []byte
}

// apply returns b after c.
func (c change) apply(b []byte) []byte {
	if c.data == nil {
		return resize(b, c.at)
	}
	b = resize(b, max(int64(len(b)), c.at+int64(len(c.data))))
	copy(b[c.at:], c.data)
	return b
}

func resize(b []byte, size int64) []byte {
	if n := int64(len(b)); size > n {
		return append(b, make([]byte, size-n)...)
	}
	return b[:size:size]
}

func (n *inode) do(c change) {
	n.data = c.apply(n.data)
	n.writes = append(n.writes, c)
	if len(n.writes) > 300 { // the system writes by itself what it has had for long
		for _, c := range n.writes[:150] {
			n.disk = c.apply(n.disk)
		}
		n.writes = slices.Clone(n.writes[150:])
	}
}

func (n *inode) sync() {
	for _, c := range n.writes {
		n.disk = c.apply(n.disk)
	}
	n.writes = nil
}

// used returns how many bytes the files have.
func (f *faultFS) used() (sum int64) {
	seen := map[*inode]bool{}
	for _, n := range f.files {
		if !seen[n] {
			seen[n] = true
			sum += int64(len(n.data))
		}
	}
	return sum
}

func (f *faultFS) hasRoom(n int64) bool {
	return n <= 0 || f.capacity == 0 || f.used()+n <= f.capacity
}

// begin begins an operation. It returns a fault if there is one, whose error
// names the operation.
func (f *faultFS) begin(o op, name string) *fault {
	if f.crash {
		return &fault{err: errCrashed}
	}
	f.ops++
	f.counts[o]++
	var x *fault
	if f.failed[o] != nil {
		x = &fault{err: f.failed[o]}
	} else if f.inject != nil {
		x = f.inject(o, name)
	}
	if x == nil {
		return nil
	}
	if x.err == nil {
		x.err = errInjected
	}
	if x.sticky {
		f.failed[o] = x.err
	}
	f.crash = f.crash || x.crash
	return &fault{err: &fs.PathError{Op: o.String(), Path: name, Err: x.err}, part: x.part}
}

// rename enters a change of the directory.
func (f *faultFS) enter(change map[string]*inode) {
	f.pending = append(f.pending, change)
	apply(f.files, change)
}

func apply(files, change map[string]*inode) {
	for name, n := range change {
		if n == nil {
			delete(files, name)
		} else {
			files[name] = n
		}
	}
}

func missing(o op, name string) error {
	return &fs.PathError{Op: o.String(), Path: name, Err: fs.ErrNotExist}
}

func (f *faultFS) ReadDir(dir string) (list []persist.FileInfo, err error) {
	if x := f.begin(opReadDir, dir); x != nil {
		return nil, x.err
	}
	for _, name := range slices.Sorted(maps.Keys(f.files)) {
		if path.Dir(name) == dir {
			list = append(list, persist.FileInfo{Name: path.Base(name), Size: int64(len(f.files[name].data))})
		}
	}
	return list, nil
}

func (f *faultFS) ReadFile(name string, _ []byte) ([]byte, error) {
	if x := f.begin(opReadFile, name); x != nil {
		return nil, x.err
	}
	n := f.files[name]
	if n == nil {
		return nil, missing(opReadFile, name)
	}
	return slices.Clone(n.data), nil
}

func (f *faultFS) Create(name string) (persist.File, error) {
	if x := f.begin(opCreate, name); x != nil {
		return nil, x.err
	}
	if f.files[name] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	n := &inode{}
	f.enter(map[string]*inode{name: n})
	return &faultFile{f, n, name, false}, nil
}

func (f *faultFS) Open(name string) (persist.File, error) {
	if x := f.begin(opOpen, name); x != nil {
		return nil, x.err
	}
	n := f.files[name]
	if n == nil {
		return nil, missing(opOpen, name)
	}
	return &faultFile{f, n, name, false}, nil
}

func (f *faultFS) OpenRead(name string) (persist.Reader, error) {
	if x := f.begin(opReadFile, name); x != nil {
		return nil, x.err
	}
	n := f.files[name]
	if n == nil {
		return nil, missing(opReadFile, name)
	}
	return &faultReader{f, n, name}, nil
}

// faultReader is a file that has been opened to be read.
type faultReader struct {
	fs   *faultFS
	node *inode
	name string
}

func (r *faultReader) ReadAt(b []byte, at int64) (int, error) {
	if x := r.fs.begin(opReadFile, r.name); x != nil {
		return 0, x.err
	}
	n, _ := r.ReadNow(b, at)
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (r *faultReader) ReadNow(b []byte, at int64) (int, bool) {
	if at >= int64(len(r.node.data)) {
		return 0, true
	}
	return copy(b, r.node.data[at:]), true
}

func (r *faultReader) Close() error { return nil }

func (f *faultFS) Rename(from, to string) error {
	if x := f.begin(opRename, from); x != nil {
		return x.err
	}
	n := f.files[from]
	if n == nil {
		return missing(opRename, from)
	}
	f.enter(map[string]*inode{from: nil, to: n})
	return nil
}

func (f *faultFS) Remove(name string) error {
	if x := f.begin(opRemove, name); x != nil {
		return x.err
	}
	if f.files[name] == nil {
		return missing(opRemove, name)
	}
	f.enter(map[string]*inode{name: nil})
	return nil
}

func (f *faultFS) Mkdir(dir string) error {
	if x := f.begin(opMkdir, dir); x != nil {
		return x.err
	}
	return nil
}

func (f *faultFS) SyncDir(dir string) error {
	if x := f.begin(opSyncDir, dir); x != nil {
		return x.err
	}
	f.durable = maps.Clone(f.files)
	f.pending = nil
	return nil
}

// faultFile is an open file of a faultFS.
type faultFile struct {
	fs     *faultFS
	node   *inode
	name   string
	closed bool
}

func (f *faultFile) begin(o op) *fault {
	if f.closed {
		panic(fmt.Sprintf("%v of %s, which is closed", o, f.name))
	}
	return f.fs.begin(o, f.name)
}

func (f *faultFile) WriteAt(b []byte, at int64) (int, error) {
	x := f.begin(opWrite)
	if x != nil {
		b = b[:int(x.part*float64(len(b)))]
	} else if !f.fs.hasRoom(at + int64(len(b)) - int64(len(f.node.data))) {
		b = b[:max(0, min(int64(len(b)), int64(len(f.node.data))-at))]
		x = &fault{err: &fs.PathError{Op: "write", Path: f.name, Err: persist.ErrFull}}
	}
	if len(b) > 0 {
		f.node.do(change{at, slices.Clone(b)})
	}
	if x != nil {
		return len(b), x.err
	}
	return len(b), nil
}

func (f *faultFile) Sync() error {
	if x := f.begin(opSync); x != nil {
		return x.err
	}
	f.node.sync()
	return nil
}

func (f *faultFile) Allocate(size int64) error {
	if x := f.begin(opAllocate); x != nil {
		return x.err
	}
	have := int64(len(f.node.data))
	if !f.fs.hasRoom(size - have) {
		return &fs.PathError{Op: "allocate", Path: f.name, Err: persist.ErrFull}
	}
	if size > have {
		f.node.do(change{at: size})
	}
	return nil
}

func (f *faultFile) Truncate(size int64) error {
	if x := f.begin(opTruncate); x != nil {
		return x.err
	}
	f.node.do(change{at: size})
	return nil
}

func (f *faultFile) Close() error {
	if x := f.begin(opClose); x != nil {
		f.closed = true
		return x.err
	}
	f.closed = true
	return nil
}

// What is left after a crash.

// kill returns what the next process finds when this one has been killed: all
// that was written. What is durable stays what it is.
func (f *faultFS) kill() *faultFS {
	next, nodes := newFaultFS(), map[*inode]*inode{}
	next.capacity = f.capacity
	clone := func(n *inode) *inode {
		if n == nil {
			return nil
		}
		if nodes[n] == nil {
			nodes[n] = &inode{slices.Clone(n.data), slices.Clone(n.disk), slices.Clone(n.writes)}
		}
		return nodes[n]
	}
	cloneAll := func(files map[string]*inode) map[string]*inode {
		all := map[string]*inode{}
		for name, n := range files {
			all[name] = clone(n)
		}
		return all
	}
	next.files, next.durable = cloneAll(f.files), cloneAll(f.durable)
	for _, change := range f.pending {
		next.pending = append(next.pending, cloneAll(change))
	}
	return next
}

// cut returns what is found when the power has been cut: what was durable, and
// of the rest what r chooses.
func (f *faultFS) cut(r *rand.Rand) *faultFS {
	next := newFaultFS()
	next.capacity = f.capacity
	files := maps.Clone(f.durable)
	keep := chooser(r, len(f.pending))
	for i, change := range f.pending {
		if keep(i) {
			apply(files, change)
		}
	}
	nodes := map[*inode]*inode{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		n := files[name]
		if nodes[n] == nil {
			left := n.left(r)
			nodes[n] = &inode{data: left, disk: slices.Clone(left)}
		}
		next.files[name] = nodes[n]
	}
	next.durable = maps.Clone(next.files)
	return next
}

// chooser returns which of n things that have happened in this order are left:
// none, all, the first few, or any.
func chooser(r *rand.Rand, n int) func(i int) bool {
	switch r.IntN(4) {
	case 0:
		return func(int) bool { return false }
	case 1:
		return func(int) bool { return true }
	case 2:
		first := r.IntN(n + 1)
		return func(i int) bool { return i < first }
	}
	return func(int) bool { return r.IntN(2) == 0 }
}

// left returns what is left of a file after a power cut.
func (n *inode) left(r *rand.Rand) []byte {
	b := slices.Clone(n.disk)
	if len(n.writes) == 0 {
		return b
	}
	if r.IntN(3) == 0 { // the first few, and a part of the next
		first := r.IntN(len(n.writes) + 1)
		for i, c := range n.writes[:min(first+1, len(n.writes))] {
			if i == first && c.data != nil {
				c.data = c.data[:r.IntN(len(c.data)+1)]
				if len(c.data) == 0 {
					break
				}
			}
			b = c.apply(b)
		}
		return b
	}
	// Each sector as it was after one of its writes.
	times := map[int64]int{}
	for _, c := range n.writes {
		c.sectors(func(s int64, _ change) { times[s]++ })
	}
	keep := chooser(r, len(times))
	for i, s := range slices.Sorted(maps.Keys(times)) {
		if !keep(i) {
			times[s] = r.IntN(times[s])
		}
	}
	b = resize(b, int64(max(len(n.disk), len(n.data))))
	for _, c := range n.writes {
		c.sectors(func(s int64, part change) {
			if times[s] > 0 {
				b = part.apply(b)
			}
			times[s]--
		})
	}
	if r.IntN(2) == 0 {
		return resize(b, int64(len(n.disk)))
	}
	return resize(b, int64(len(n.data)))
}

// sectors calls f for each sector that c writes to.
func (c change) sectors(f func(s int64, part change)) {
	for at, end := c.at, c.at+int64(len(c.data)); at < end; {
		next := min((at/sector+1)*sector, end)
		f(at/sector, change{at, c.data[at-c.at : next-c.at]})
		at = next
	}
}
