package server

import "spoked/proto"

// pace lets a connection take turns with others as in beanstalkd, which in
// one turn sends a reply and executes the next command of those it has read,
// or reads up to a line's length and executes the first.
//
// The order in which two clients' commands are executed is nobody's business
// as long as it is not seen, and all that a client has sent is executed in one
// go. It is seen when a client has sent commands behind a reserve that waits.
// They come to be executed when another client puts a job, and that one may
// have sent more commands behind the put. Then these two take turns until one
// has run out of commands. So does a client that hangs up while it waits:
// the first reply that it does not take ends it, and not what it sent before.
type pace struct {
	window  int  // bytes that would have been read and not executed
	partial int  // of a line, executed neither
	reading bool // the turn is for reading, not for writing
}

// readAhead returns how many bytes behind the first n of in beanstalkd would
// have read by the time it had executed the commands in those. It reads a
// line's length at a time, from the first line on that it has not all of, and
// what it lacks of a body separately.
func readAhead(d proto.Decoder, in []byte, n int) int {
	var cmd proto.Command
	line, read := 0, 0
	for pos := 0; pos < n; {
		k, event := d.Next(in[pos:n], &cmd)
		pos += k
		switch event {
		case proto.Request, proto.Refused:
			if pos > read {
				blocks := (pos - line + proto.MaxLine - 1) / proto.MaxLine
				read = line + blocks*proto.MaxLine
			}
		default:
			read = max(read, pos)
		}
		line = pos
	}
	return max(0, min(read, len(in))-n)
}

// portion returns how much of size bytes of input there is to be fed in this
// turn. All of it, if it is the body of a put.
func (p *pace) portion(size int, body bool) int {
	if p.reading {
		p.window = proto.MaxLine - p.partial
		if body {
			p.window = size
		}
	}
	return min(p.window, size)
}

// used takes note that n bytes were fed, and so many commands executed.
func (p *pace) used(n, commands int) {
	p.window -= n
	p.reading = commands == 0
	if p.partial += n; commands > 0 || p.partial >= proto.MaxLine {
		p.partial = 0
	}
}
