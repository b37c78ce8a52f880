package manage

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"spoked/queue"
)

// A lease names a reservation: the job, and how often it had been reserved by
// then, so that it does not fit the next one. A mark, by a key that only this
// process has, keeps others from making one up. All leases are reservations of
// one client, the holder; so there is no table of them, and a lease ends when
// the reservation does.

const (
	leaseMark  = 12 // bytes of the HMAC
	leaseBytes = 8 + 4 + leaseMark
)

// lease returns the lease of a reservation.
func (m *Manager) lease(id uint64, reserves uint32) string {
	b := make([]byte, 0, leaseBytes)
	b = binary.BigEndian.AppendUint64(b, id)
	b = binary.BigEndian.AppendUint32(b, reserves)
	return base64.RawURLEncoding.EncodeToString(append(b, m.mark(b)...))
}

func (m *Manager) mark(b []byte) []byte {
	h := hmac.New(sha256.New, m.key[:])
	h.Write(b)
	return h.Sum(nil)[:leaseMark]
}

// parse returns what a lease names.
func (m *Manager) parse(lease string) (id uint64, reserves uint32, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(lease)
	if err != nil || len(b) != leaseBytes {
		return 0, 0, ErrBadLease
	}
	if !hmac.Equal(b[12:], m.mark(b[:12])) {
		return 0, 0, ErrLeaseOver
	}
	return binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:]), nil
}

// leased calls f about the job of a lease that has not ended, and waits for the
// journal.
func (m *Manager) leased(ctx context.Context, lease string, f func(e *queue.Engine, now int64, s *queue.JobStats) error) error {
	id, reserves, err := m.parse(lease)
	if err != nil {
		return err
	}
	return m.do(ctx, func(e *queue.Engine, now int64) error {
		s, err := e.JobStats(now, id)
		if err != nil || s.State != queue.Reserved || s.Owner != m.holder || s.Reserves != reserves {
			return ErrLeaseOver
		}
		return f(e, now, &s)
	})
}

// DeleteLease deletes the job of a lease.
func (m *Manager) DeleteLease(ctx context.Context, lease string) error {
	return m.leased(ctx, lease, func(e *queue.Engine, now int64, s *queue.JobStats) error {
		return e.Delete(now, m.holder, s.ID)
	})
}

// Release lets the job of a lease go, with another priority unless pri is nil.
func (m *Manager) Release(ctx context.Context, lease string, pri *uint32, delay time.Duration) error {
	return m.leased(ctx, lease, func(e *queue.Engine, now int64, s *queue.JobStats) error {
		return e.Release(now, m.holder, s.ID, or(pri, s.Pri), delay)
	})
}

// Bury sets the job of a lease aside, with another priority unless pri is nil.
func (m *Manager) Bury(ctx context.Context, lease string, pri *uint32) error {
	return m.leased(ctx, lease, func(e *queue.Engine, _ int64, s *queue.JobStats) error {
		return e.Bury(m.holder, s.ID, or(pri, s.Pri))
	})
}

// Touch starts the time of a lease anew, and returns the job and the instant at
// which the lease ends.
func (m *Manager) Touch(ctx context.Context, lease string) (id uint64, at int64, err error) {
	err = m.leased(ctx, lease, func(e *queue.Engine, now int64, s *queue.JobStats) error {
		id, at = s.ID, now+int64(s.TTR)
		return e.Touch(now, m.holder, s.ID)
	})
	return id, at, err
}

func or(p *uint32, otherwise uint32) uint32 {
	if p == nil {
		return otherwise
	}
	return *p
}
