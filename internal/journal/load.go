package journal

import (
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"spoked/persist"
)

// loader reads the segments of a directory ahead of the one that replays them.
// Reading is most of the work that can be done for several segments at once:
// copying from the disk, and checking every byte.
type loader struct {
	fs       persist.FS
	dir      string
	sizes    map[uint64]int64
	total    int64 // bytes
	progress func(done, total int64)

	begun   map[uint64]*loading
	expect  []uint64 // not begun
	mu      sync.Mutex
	buffers [][]byte
	lent    map[*persist.Segment][]byte
	done    map[uint64]bool
	read    int64 // bytes of those that are done with
}

// loading is a segment that is being read.
type loading struct {
	ready   chan struct{}
	segment *persist.Segment
	err     error
}

func newLoader(fs persist.FS, dir string, files []persist.FileInfo, progress func(done, total int64)) *loader {
	l := &loader{
		fs: fs, dir: dir, progress: progress,
		sizes: map[uint64]int64{}, begun: map[uint64]*loading{},
		lent: map[*persist.Segment][]byte{}, done: map[uint64]bool{},
	}
	for _, f := range files {
		if n, ok := persist.SegmentNumber(f.Name); ok {
			l.sizes[n] = f.Size
			l.total += f.Size
		}
	}
	return l
}

// Expect implements persist.Loader.
func (l *loader) Expect(numbers []uint64) {
	l.expect = slices.Clone(numbers)
	l.readAhead()
}

// mostAhead is how many bytes are read ahead at most, unless it is one segment.
const mostAhead = 32 << 20

// readAhead begins to read what is expected next.
func (l *loader) readAhead() {
	ahead := int64(0)
	for number := range l.begun {
		ahead += l.sizes[number]
	}
	for len(l.expect) > 0 && len(l.begun) <= runtime.GOMAXPROCS(0) {
		if ahead += l.sizes[l.expect[0]]; ahead > mostAhead && len(l.begun) > 0 {
			return
		}
		l.begin(l.expect[0])
		l.expect = l.expect[1:]
	}
}

func (l *loader) begin(number uint64) *loading {
	if g := l.begun[number]; g != nil {
		return g
	}
	g := &loading{ready: make(chan struct{})}
	l.begun[number] = g
	go func() {
		defer close(g.ready)
		g.segment, g.err = l.readSegment(number)
	}()
	return g
}

func (l *loader) readSegment(number uint64) (*persist.Segment, error) {
	l.mu.Lock()
	buf := l.takeBuffer(l.sizes[number])
	l.mu.Unlock()
	data, err := l.fs.ReadFile(filepath.Join(l.dir, persist.SegmentName(number)), buf)
	if err != nil {
		return nil, err
	}
	s, err := persist.ReadSegment(number, data)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.lent[s] = data
	l.mu.Unlock()
	return s, nil
}

// takeBuffer returns a buffer for size bytes, or nil. It lets go of those that
// are too small, for the next ones will be.
func (l *loader) takeBuffer(size int64) (buf []byte) {
	for n := len(l.buffers) - 1; n >= 0 && int64(cap(buf)) < size; n-- {
		buf = l.buffers[n]
		l.buffers = l.buffers[:n]
	}
	return buf
}

// Load implements persist.Loader.
func (l *loader) Load(number uint64) (*persist.Segment, error) {
	g := l.begin(number)
	<-g.ready
	delete(l.begun, number)
	if len(l.expect) > 0 && l.expect[0] == number {
		l.expect = l.expect[1:]
	}
	l.readAhead()
	return g.segment, g.err
}

// Done implements persist.Loader.
func (l *loader) Done(s *persist.Segment) {
	l.mu.Lock()
	l.buffers = append(l.buffers, l.lent[s])
	delete(l.lent, s)
	l.mu.Unlock()
	if !l.done[s.Number] {
		l.done[s.Number] = true
		l.read += l.sizes[s.Number]
	}
	if l.progress != nil {
		l.progress(l.read, l.total)
	}
}
