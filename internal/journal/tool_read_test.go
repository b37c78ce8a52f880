package journal

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

var errBadSector = errors.New("bad sector")

// scratched is a file of which a part cannot be read.
type scratched struct {
	data     []byte
	from, to int64
}

func (s scratched) ReadAt(b []byte, at int64) (int, error) {
	if at < s.to && at+int64(len(b)) > s.from {
		return 0, errBadSector
	}
	n := copy(b, s.data[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func TestReadAround(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 3*readBlock+100)
	got, err := readAround(scratched{data, readBlock + 5, readBlock + 6}, int64(len(data)))
	want := bytes.Clone(data)
	clear(want[readBlock : 2*readBlock])
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v, want one block to be zeros", len(got), err)
	}
	if _, err := readAround(scratched{data, 0, int64(len(data))}, int64(len(data))); !errors.Is(err, errBadSector) {
		t.Errorf("got error %v of a file that cannot be read at all", err)
	}
}
