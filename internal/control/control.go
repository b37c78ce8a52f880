// Package control is how a running server is told to do something by who has a
// right to its directory: a unix socket there takes a request, a line of JSON,
// and answers it with another. It knows neither what can be asked for nor what
// comes of it.
package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Name is what the socket is called in a server's directory.
const Name = "control"

// Request is what a server is asked for.
type Request struct {
	Op string `json:"op"`
	To string `json:"to,omitempty"` // an absolute path, for operations that write
}

// reply is what it answers.
type reply struct {
	Error  string          `json:"error,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
}

const (
	maxLine     = 64 << 10         // bytes of a request or a reply
	patience    = 10 * time.Second // for a request to arrive, and for a reply to be taken
	maxConns    = 16
	longestPath = 100 // bytes that a socket's address has room for on all systems
)

// ErrNoServer is in the error of a Call that nobody is there to answer.
var ErrNoServer = errors.New("no server answers")

// ErrRefused is in the error of a Call that the server has answered with an
// error.
var ErrRefused = errors.New("the server says")

// Call asks the server whose socket is at path, waits for as long as it takes,
// and puts into result what it answers. The server gives up what it does when
// the caller is gone.
func Call(path string, req Request, result any) error {
	address, release, err := shorten(path)
	if err != nil {
		return fmt.Errorf("%w on %s: %w", ErrNoServer, path, err)
	}
	defer release()
	conn, err := net.Dial("unix", address)
	if err != nil {
		return fmt.Errorf("%w on %s: %w", ErrNoServer, path, err)
	}
	defer conn.Close()
	line, err := json.Marshal(req)
	if err != nil {
		return err
	}
	if _, err := conn.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("asking the server on %s: %w", path, err)
	}
	line, err = readLine(conn)
	if err != nil {
		return fmt.Errorf("waiting for the server on %s: %w", path, err)
	}
	var r reply
	if err := json.Unmarshal(line, &r); err != nil {
		return fmt.Errorf("the server on %s answers what cannot be understood: %w", path, err)
	}
	if r.Error != "" {
		return fmt.Errorf("%w: %s", ErrRefused, r.Error)
	}
	return json.Unmarshal(r.Result, result)
}

var errTooLong = fmt.Errorf("a line is longer than %d bytes", maxLine)

// readLine reads a line, of a bounded length.
func readLine(r io.Reader) ([]byte, error) {
	b := bufio.NewReaderSize(r, maxLine)
	line, err := b.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, errTooLong
	case errors.Is(err, io.EOF):
		return nil, io.ErrUnexpectedEOF
	}
	return line, err
}

// shorten returns an address for the socket at path, which may be too long for
// one, and a function to be called when it is not used any more.
func shorten(path string) (address string, release func(), err error) {
	if len(path) <= longestPath {
		return path, func() {}, nil
	}
	if runtime.GOOS != "linux" {
		return "", nil, fmt.Errorf("the path of the socket has %d bytes, more than the %d that there is room for", len(path), longestPath)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { dir.Close() }, nil
}
