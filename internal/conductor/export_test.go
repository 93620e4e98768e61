package conductor

// Loops counts the stacks that the conductor knows.
func (c *Conductor) Loops() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.loops)
}
