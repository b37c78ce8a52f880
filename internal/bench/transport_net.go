package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// portable is a transport for any system: two goroutines for each connection,
// one that reads and one that writes, and what they have done is looked at by
// the one that plays the clients. It costs more than the clients themselves.
type portable struct {
	network, name string
	links         []*link
	ctx           context.Context // ends when all is shut
	cancel        context.CancelFunc

	mu     sync.Mutex
	ready  []event
	failed error         // to connect
	bell   chan struct{} // holds one when there is something to look at
	taken  []event
	group  sync.WaitGroup
}

// link is one connection. The transport's mutex guards what is not a channel.
type link struct {
	owner  *portable
	client int32
	conn   net.Conn // nil while it connects
	closed bool
	queued bool // there is an event that has not been taken
	in     []byte
	err    error // of reading or writing, behind what is in in
	unsent int   // batches
	out    chan []byte
}

func newPortable(t Target, clients int) (transport, error) {
	network, name, err := t.network()
	if err != nil {
		return nil, err
	}
	p := &portable{network: network, name: name, links: make([]*link, clients), bell: make(chan struct{}, 1)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p, nil
}

func (p *portable) dial(i int) error {
	l := &link{owner: p, client: int32(i), out: make(chan []byte, 1)}
	p.links[i] = l
	p.group.Go(func() {
		var d net.Dialer
		conn, err := d.DialContext(p.ctx, p.network, p.name)
		p.mu.Lock()
		defer p.mu.Unlock()
		switch {
		case err != nil && !l.closed:
			p.failed = &LostError{fmt.Errorf("connect to %s: %w", p.name, err)}
			p.ring()
		case err != nil:
		case l.closed:
			conn.Close()
		default:
			l.conn = conn
			p.group.Go(l.receive)
			p.group.Go(l.transmit)
			p.ready = append(p.ready, event{l.client, true})
			p.ring()
		}
	})
	return nil
}

func (p *portable) ring() {
	select {
	case p.bell <- struct{}{}:
	default:
	}
}

// tell notes that something has happened. The mutex is held.
func (l *link) tell() {
	if !l.queued && !l.closed {
		l.queued = true
		l.owner.ready = append(l.owner.ready, event{client: l.client})
		l.owner.ring()
	}
}

func (l *link) receive() {
	buf := make([]byte, 64<<10)
	for {
		n, err := l.conn.Read(buf)
		l.owner.mu.Lock()
		l.in = append(l.in, buf[:n]...)
		if err != nil {
			l.err = err
		}
		l.tell()
		l.owner.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (l *link) transmit() {
	for b := range l.out {
		_, err := l.conn.Write(b)
		l.owner.mu.Lock()
		l.unsent--
		if err != nil && l.err == nil {
			l.err = err
		}
		l.tell()
		l.owner.mu.Unlock()
	}
}

func (p *portable) send(i int, b []byte) error {
	l := p.links[i]
	p.mu.Lock()
	l.unsent++
	p.mu.Unlock()
	l.out <- b
	return nil
}

func (p *portable) unsent(i int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.links[i].unsent > 0
}

func (p *portable) read(i int, b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.links[i]
	n := copy(b, l.in)
	l.in = append(l.in[:0], l.in[n:]...)
	switch {
	case n > 0:
		if len(l.in) > 0 || l.err != nil {
			l.tell()
		}
		return n, nil
	case l.err == io.EOF:
		return 0, io.EOF
	}
	return 0, l.err
}

func (p *portable) wait(limit time.Duration) ([]event, error) {
	timer := time.NewTimer(max(limit, 0))
	defer timer.Stop()
	select {
	case <-p.bell:
	case <-timer.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken = p.taken[:0]
	for _, ev := range p.ready {
		if l := p.links[ev.client]; l != nil {
			if !ev.connected {
				l.queued = false
			}
			p.taken = append(p.taken, ev)
		}
	}
	p.ready = p.ready[:0]
	return p.taken, p.failed
}

func (p *portable) close(i int) {
	l := p.links[i]
	if l == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links[i] = nil
	l.closed = true
	close(l.out)
	if l.conn != nil {
		l.conn.Close()
	}
}

func (p *portable) shut() {
	p.cancel()
	for i := range p.links {
		p.close(i)
	}
	p.group.Wait()
}
