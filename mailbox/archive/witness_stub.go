package archive

import "context"

func (a *Archive) CheckWitness(ctx context.Context, raw []byte) error { return nil }

func (a *Archive) Evidence(ctx context.Context, segment int) ([]byte, error) {
	return a.read(ctx, renewedName(segment, 0))
}
