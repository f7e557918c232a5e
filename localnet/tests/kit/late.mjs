// From here on transactions land a slot after they were sent, which is the order in which a real node tells of them.
// SPDX-FileCopyrightText: 2026 The nosana.compute contributors
// SPDX-License-Identifier: GPL-3.0-or-later

import { step, sendLate } from './network.mjs';

await sendLate();
step('transactions land later than they are sent');
