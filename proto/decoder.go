package proto

import "bytes"

// Decoder turns what one client sends into commands and bodies. The events are
// the same however the input is cut, save where the cuts between Chunks fall.
// Set MaxJobSize; everything else works from zero.
//
// Decoder is small, so that an idle connection costs next to nothing: 24
// bytes, and some 250 more from the first time that a line comes in two pieces,
// which it then keeps. Apart from that one allocation it makes none, but for the
// pieces of a long delete-batch, up to MaxLongLine bytes until that has come. A
// line that is whole in the input is read where it stands, without a copy.
//
// After the client's end of file there is nothing to finish: beanstalkd drops a
// partial line or body without a word.
type Decoder struct {
	block *heldLine // what is held of the current line; nil until needed
	left  int64     // in body and drop: bytes to come, trailer included, at least 1

	// MaxJobSize is the largest body accepted, in bytes without its CRLF. A
	// change takes effect at the next command line.
	MaxJobSize uint32

	// Lax reads the number of reserve-with-timeout as beanstalkd 1.12 did.
	Lax bool

	// Strict has the decoder know beanstalkd's commands alone.
	Strict bool

	mode mode
	held uint8 // bytes in block.line; less than MaxLine
}

// heldLine is what is held of a line.
type heldLine struct {
	line [MaxLine]byte // the first held bytes of the current block
	long []byte        // a line longer than that, up to MaxLongLine bytes; nil until needed
}

// mode is what the next byte of input is part of.
type mode uint8

const (
	inLine    mode = iota // a command line
	inSkip                // a line already found too long
	inLong                // a line that may be longer than others; block.long has its beginning
	inBody                // the body of a put, or its trailer
	inTrailer             // the last byte of the trailer, the one before was its CR
	inDrop                // the body of a put over the limit, or its trailer
)

// Next consumes input up to and including the first event. It returns the
// number of bytes consumed, n <= len(in), and the event; cmd holds its details.
//
// Call it again with the rest, in[n:], until that is empty or the event is
// More, which consumes all. Every other event consumes at least a byte, so no
// event waits behind empty input.
//
// Request and Refused set all of cmd. The events of a body set only cmd.Data,
// so a caller who passes the same Command still finds the put there. More
// leaves cmd alone. The slices in cmd are borrowed until the next call.
//
// The cost is linear in n, plus at most MaxLine bytes looked at again if a line
// came in pieces; a body is not looked at. Next keeps no reference to in.
func (d *Decoder) Next(in []byte, cmd *Command) (n int, ev Event) {
	switch d.mode {
	case inBody, inTrailer:
		return d.body(in, cmd)
	case inDrop:
		return d.drop(in, cmd)
	case inLong:
		return d.longLine(in, cmd)
	default:
		return d.line(in, cmd)
	}
}

// line consumes up to and including the end of a command line.
//
// beanstalkd reads a line into a buffer of MaxLine bytes. When that is full and
// has no line end in it, it throws the buffer away whole and goes on so, block
// by block, up to a line end, which it answers with BAD_FORMAT. The blocks are
// counted from the start of the line, so neither that nor its odd consequence
// depends on how the input is cut: a CR that is the last byte of a block is
// thrown away with it, its LF then ends nothing, and a line of 223 bytes (or
// 447, 671, ...) before its CRLF takes the next line with it.
func (d *Decoder) line(in []byte, cmd *Command) (n int, ev Event) {
	if d.block != nil {
		d.block.long = nil // the last Command borrowed it
	}
	for n < len(in) {
		held := int(d.held)
		block := in[n:min(n+MaxLine, len(in))]
		if held > 0 {
			block = d.block.line[:held+copy(d.block.line[held:], in[n:])]
		}

		if end := lineEnd(block); end > 0 {
			d.held = 0
			return n + end - held, d.endLine(block[:end-len(crlf)], cmd)
		}

		if len(block) == MaxLine && d.mayBeLong(block) {
			d.held, d.mode = 0, inLong
			if held > 0 {
				d.block.long = append([]byte(nil), block...)
				n += len(block) - held
			}
			m, ev := d.longLine(in[n:], cmd)
			return n + m, ev
		}

		n += len(block) - held
		if len(block) == MaxLine {
			d.held = 0
			d.mode = inSkip
			continue
		}
		// The block is not full, so this was the last of the input.
		if held == 0 {
			d.hold(block)
		}
		d.held = uint8(len(block))
	}
	return n, More
}

// lineEnd returns the length of the line at the front of block, CRLF included,
// or 0 if it does not end there. Like beanstalkd it looks at the first CR only:
// if anything but LF follows that one, a CRLF further on ends nothing.
func lineEnd(block []byte) int {
	cr := bytes.IndexByte(block, '\r')
	if cr < 0 || cr+1 == len(block) || block[cr+1] != '\n' {
		return 0
	}
	return cr + len(crlf)
}

// hold copies the beginning of a line whose end has not come yet.
func (d *Decoder) hold(line []byte) {
	if d.block == nil {
		d.block = new(heldLine)
	}
	copy(d.block.line[:], line)
}

// mayBeLong reports whether the line that begins with these MaxLine bytes, and does
// not end in them, may be longer.
func (d *Decoder) mayBeLong(line []byte) bool {
	if d.mode != inLine || d.Strict || bytes.IndexByte(line[:MaxLine-1], '\r') >= 0 {
		return false
	}
	r := d.find(line)
	return r != nil && r.op == OpDeleteBatch
}

// longLine consumes up to and including the end of a long line. What is held of it is
// in block.long; if that is empty, the line begins with in. As in a block, the first CR
// counts: if no LF follows it, or the line is longer than it may be, what comes next
// is skipped like the rest of any line that is too long.
func (d *Decoder) longLine(in []byte, cmd *Command) (n int, ev Event) {
	var held []byte
	if d.block != nil {
		held = d.block.long
	}
	part := in[:min(len(in), MaxLongLine-len(held))]
	cr := bytes.IndexByte(part, '\r')
	if k := len(held); k > 0 && held[k-1] == '\r' {
		cr = -1
	}
	lf := cr + 1 // where it must stand
	switch {
	case cr < 0 && (len(held) == 0 || held[len(held)-1] != '\r'), lf == len(part):
		return d.holdLong(held, part, in, cmd)
	case part[lf] != '\n':
		return d.skipLong(lf, in, cmd)
	}
	line := part[:lf+1]
	if len(held) > 0 {
		d.block.long = append(held, line...)
		line = d.block.long
	}
	d.mode = inLine
	return lf + 1, d.endLine(line[:len(line)-len(crlf)], cmd)
}

// holdLong consumes part, the beginning of in, in which a long line does not end.
func (d *Decoder) holdLong(held, part, in []byte, cmd *Command) (n int, ev Event) {
	if len(held)+len(part) == MaxLongLine {
		return d.skipLong(len(part), in, cmd)
	}
	if d.block == nil {
		d.block = new(heldLine)
	}
	d.block.long = append(held, part...)
	return len(part), More
}

// skipLong consumes n bytes, with which a long line turns out to be none, and goes on
// to its end.
func (d *Decoder) skipLong(n int, in []byte, cmd *Command) (int, Event) {
	d.mode = inSkip
	m, ev := d.line(in[n:], cmd)
	return n + m, ev
}

// endLine answers a line that has come to its end; line is without its CRLF.
func (d *Decoder) endLine(line []byte, cmd *Command) Event {
	if d.mode == inSkip {
		d.mode = inLine
		return refuse(cmd, Command{Status: BadFormat})
	}
	// beanstalkd looks for a NUL before it looks for a command.
	if bytes.IndexByte(line, 0) >= 0 {
		return refuse(cmd, Command{Status: BadFormat})
	}

	ev := d.parse(line, cmd)
	if ev == Request && cmd.Op == OpPut {
		d.expectBody(cmd.Size)
	}
	return ev
}

func (d *Decoder) expectBody(size uint32) {
	d.mode = inBody
	if size > d.MaxJobSize {
		d.mode = inDrop
	}
	d.left = int64(size) + int64(len(crlf))
}

// body consumes the body of a put and the two bytes after it. If both are whole
// in the input that is one event; the trailer may come in two pieces.
func (d *Decoder) body(in []byte, cmd *Command) (n int, ev Event) {
	if int64(len(in)) < d.left {
		return d.partOfBody(in, cmd)
	}

	n = int(d.left)
	body, ok := in[:0], d.mode == inTrailer && in[0] == '\n'
	if n >= len(crlf) {
		body, ok = in[:n-len(crlf)], string(in[n-len(crlf):n]) == crlf
	}
	d.mode, d.left = inLine, 0
	if !ok {
		cmd.Data = nil
		return n, BadTrailer
	}
	cmd.Data = body
	return n, BodyEnd
}

// partOfBody consumes all of in, which does not reach the end of the trailer.
func (d *Decoder) partOfBody(in []byte, cmd *Command) (n int, ev Event) {
	size := max(d.left-int64(len(crlf)), 0) // of body to come
	n = len(in)
	d.left -= int64(n)
	if int64(n) > size && in[size] == '\r' {
		d.mode = inTrailer
	}
	data := in[:min(int64(n), size)]
	if len(data) == 0 {
		return n, More
	}
	cmd.Data = data
	return n, Chunk
}

// drop consumes the body and trailer of a put over the limit. beanstalkd does
// not look at them, not even at the trailer.
func (d *Decoder) drop(in []byte, cmd *Command) (n int, ev Event) {
	n = int(min(int64(len(in)), d.left))
	d.left -= int64(n)
	if d.left > 0 {
		return n, More
	}
	d.mode = inLine
	cmd.Data = nil
	return n, Oversized
}
